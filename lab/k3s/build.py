"""Compile the k3s stand-in: one executable, with containerd's shim inside it.

Every version it is given here comes from artifacts.yml. Kubernetes in another version has a go.mod of its own
beside the first, which `modules` names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
SHIM = "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"
SHIM_PLACEHOLDER = SOURCE / "shim" / "containerd-shim-runc-v2"
LAYOUT = "metalworks/lab/k3s/internal/layout"
# An image of the bundled components by its artifact, and the variable that holds its version.
IMAGES = {
    "pause": "PauseVersion",
    "coredns": "CoreDNSVersion",
    "local-path-provisioner": "ProvisionerVersion",
    "metrics-server": "MetricsVersion",
    "busybox": "BusyboxVersion",
}


@dataclass(frozen=True)
class StandIn:
    """What is built: k3s's version, those of its images, and the go.mod that pins everything else."""

    version: str  # such as v1.36.4+lab1
    images: Mapping[str, str] = field(default_factory=dict)
    modules: str = "go.mod"

    @property
    def kubernetes(self) -> str:
        """Return the version of Kubernetes that this k3s carries."""
        return self.version.partition("+")[0]

    def required(self, module: str) -> str:
        """Return the version of a module that go.mod requires."""
        found = re.search(
            rf"^\t(?:require )?{re.escape(module)} (\S+)", (SOURCE / self.modules).read_text(), re.M
        )
        if not found:
            raise ValueError(f"{self.modules} requires no {module}")
        return found[1]

    def linker_flags(self) -> list[str]:
        """Return what the linker sets: all versions that the programs tell."""
        if self.required("k8s.io/kubernetes") != self.kubernetes:
            raise ValueError(f"{self.modules} has another Kubernetes than {self.version} of artifacts.yml")
        major, minor, _ = self.kubernetes.removeprefix("v").split(".")
        stamp = {
            "gitVersion": self.version,
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
            "gitCommit": "lab",
        }
        packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        containerd = self.required("github.com/containerd/containerd/v2").removeprefix("v")
        variables = {
            **{f"{package}.{name}": value for package in packages for name, value in stamp.items()},
            **{f"{LAYOUT}.{name}": self.images[image] for image, name in IMAGES.items()},
            "github.com/containerd/containerd/v2/version.Version": f"{containerd}+lab1",
            "main.version": self.version,
        }
        return [f"-X {name}={value}" for name, value in variables.items()]


def go_build(go: Path, env: Mapping[str, str], *arguments: str, strip: str = "-s -w") -> None:
    """Run `go build` in this module. The stripped tables would be a third of the file on every node."""
    command = [str(go), "build", f"-ldflags={strip}", *arguments]
    subprocess.run(command, cwd=SOURCE, env=dict(env), check=True)


def build(go: Path, output: Path, env: Mapping[str, str], wanted: StandIn) -> None:
    """Write the executable to `output`. `env` carries GOCACHE, GOMODCACHE and what `go` itself needs."""
    env = {
        **env,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": f"-trimpath -buildvcs=false -mod=readonly -modfile={wanted.modules}",
    }
    flags = " ".join(["-s -w", *wanted.linker_flags()])
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".k3s-build-") as scratch:
        shim = Path(scratch) / "shim"
        go_build(go, env, "-o", str(shim), SHIM)
        # The overlay puts the real shim in the place of the placeholder: building leaves the tree clean.
        overlay = Path(scratch) / "overlay.json"
        overlay.write_text(json.dumps({"Replace": {str(SHIM_PLACEHOLDER): str(shim)}}))
        go_build(go, env, "-overlay", str(overlay), "-o", str(output), ".", strip=flags)


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]), os.environ, StandIn(**json.loads(sys.argv[3])))
