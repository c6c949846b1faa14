"""Compile the k3s stand-in: one executable, with containerd's shim inside it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
KUBERNETES = "1.34.4"
VERSION = f"v{KUBERNETES}+lab1"
SHIM = "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"
SHIM_PLACEHOLDER = SOURCE / "shim" / "containerd-shim-runc-v2"


def version_flags() -> list[str]:
    """What `kubectl version`, a node's kubeletVersion and helm's kubeVersion check will say."""
    major, minor, _ = KUBERNETES.split(".")
    stamp = {
        "gitVersion": VERSION,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "lab",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    flags = [f"-X {package}.{name}={value}" for package in packages for name, value in stamp.items()]
    containerd = "github.com/containerd/containerd/v2/version.Version=2.2.9+lab1"
    return [*flags, f"-X {containerd}", f"-X main.version={VERSION}"]


def go_build(go: Path, env: dict[str, str], *arguments: str, strip: str = "-s -w") -> None:
    """Run `go build` in this module. The stripped tables would be a third of the file on every node."""
    command = [str(go), "build", f"-ldflags={strip}", *arguments]
    subprocess.run(command, cwd=SOURCE, env=env, check=True)


def build(go: Path, output: Path, env: dict[str, str]) -> None:
    """Write the executable to `output`. `env` carries GOCACHE, GOMODCACHE and what `go` itself needs."""
    env = {
        **env,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-trimpath -buildvcs=false -mod=readonly",
    }
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".k3s-build-") as scratch:
        shim = Path(scratch) / "shim"
        go_build(go, env, "-o", str(shim), SHIM)
        # The overlay puts the real shim in the place of the placeholder: building leaves the tree clean.
        overlay = Path(scratch) / "overlay.json"
        overlay.write_text(json.dumps({"Replace": {str(SHIM_PLACEHOLDER): str(shim)}}))
        flags = " ".join(["-s -w", *version_flags()])
        go_build(go, env, "-overlay", str(overlay), "-o", str(output), ".", strip=flags)
