"""A real MLflow server, as the image runs it, with a database and artifacts in a temporary folder.

METALWORKS_MLFLOW_PYTHON names an interpreter that has what files/mlflow/requirements.txt lists. The server
then runs without the image, while somebody works on it.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from module_utils.metalworks.artifacts.cache import cache_root
from module_utils.metalworks.images.build import ImageCache, Wanted, run_quietly
from module_utils.metalworks.images.parts import images_of
from tests.support.servers import free_port
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "files" / "mlflow"
PYTHON = os.environ.get("METALWORKS_MLFLOW_PYTHON", "")
SECRET = "of-the-door-0123456789"
TOKEN = "of-a-program-0123456789"
CLIENTS = {TOKEN: {"name": "trainer", "groups": []}}


@dataclass
class As:
    """A user at the door: requests with the headers that the door sends."""

    url: str
    name: str
    groups: Sequence[str] = ()
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.headers.update(
            {
                "X-Metalworks-User": self.name,
                "X-Metalworks-Groups": ",".join(self.groups),
                "X-Metalworks-Door": SECRET,
            }
        )

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request, whatever the answer is."""
        return self.session.request(method, f"{self.url}{path}", timeout=60, **options)

    def may(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send a request that has to succeed, and return its answer."""
        answer = self.ask(method, f"/api/2.0/mlflow/{path}", json=body, **options)
        assert answer.status_code == 200, f"{self.name}, {method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None, **options: Any) -> str:
        """Send a request that has to be refused, and return the reason."""
        answer = self.ask(method, f"/api/2.0/mlflow/{path}", json=body, **options)
        assert answer.status_code == 403, f"{self.name}, {method} {path}: {answer.status_code} {answer.text}"
        assert answer.json()["error_code"] == "PERMISSION_DENIED"
        return str(answer.json()["message"])

    # What most tests need.

    def run(self, experiment: str = "0", **more: Any) -> str:
        """Begin a run, and return its id."""
        answer = self.may("POST", "runs/create", {"experiment_id": experiment, **more})
        return str(answer["run"]["info"]["run_id"])

    def experiment(self) -> str:
        """Make an experiment, and return its id."""
        name = f"of {self.name} {uuid.uuid4().hex}"
        return str(self.may("POST", "experiments/create", {"name": name})["experiment_id"])

    def model(self) -> str:
        """Register a model with one version, and return its name."""
        name, run = f"model-{uuid.uuid4().hex}", self.run()
        self.may("POST", "registered-models/create", {"name": name})
        version = {"name": name, "source": f"runs:/{run}/model", "run_id": run}
        self.may("POST", "model-versions/create", version)
        return name


def python(folder: Path, environment: dict[str, str], *arguments: str, name: str = "") -> list[str]:
    """Return the command that runs the server's interpreter; `folder` is its /data."""
    if PYTHON:
        return [PYTHON, *arguments]
    variables = [f"--env={key}={value}" for key, value in environment.items()]
    as_me = [f"--user={os.getuid()}", "--read-only", "--tmpfs=/tmp", f"--volume={folder}:{folder}"]
    named = [f"--name={name}"] if name else []
    return [
        *("docker", "run", "--rm", "--network=host", *as_me, *named, *variables),
        *(image(), "python3", *arguments),
    ]


def image(name: str = "mlflow", version: str = "", context: Path = PACKAGE) -> str:
    """Build the server's image, or another one on the same base, if need be, and return its name."""
    built = subprocess.run(
        [ROOT / ".venv" / "bin" / "python", ROOT / "lab" / "build.py", "--json", "base-image"],
        capture_output=True,
        text=True,
        check=True,
    )
    base = json.loads(built.stdout)["base-image"]["reference"]
    wanted = Wanted(name, version or images_of("mlflow")[0]["version"], context, base)
    record, _ = ImageCache(cache_root()).ensure(wanted, run_quietly)
    return record.reference


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the server's environment, as the chart sets it."""
    return {
        "HOME": str(folder),
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": f"{folder}/artifacts",
        "METALWORKS_DOOR_SECRET": SECRET,
        "METALWORKS_CLIENTS_FILE": f"{folder}/clients.json",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **more,
    }


def local(variables: dict[str, str]) -> dict[str, str]:
    """Return the environment for a process on this computer."""
    return {**variables, "PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE)}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's data."""
    folder = tmp_path_factory.mktemp("mlflow")
    (folder / "clients.json").write_text(json.dumps(CLIENTS))
    return folder


@pytest.fixture(scope="session")
def url(folder: Path) -> Iterator[str]:
    """A server that runs."""
    port, name = free_port(), f"metalworks-test-mlflow-{uuid.uuid4().hex[:8]}"
    variables = environment(folder, PORT=str(port))
    command = python(folder, variables, "-m", "metalworks_mlflow", name=name)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=local(variables), stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return requests.get(f"{address}/health", timeout=5).ok
        except requests.RequestException:
            return False

    try:
        wait_for(answers, lambda: (folder / "log").read_text(), 1200)
        yield address
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="session")
def user1(url: str) -> As:
    return As(url, "user1")


@pytest.fixture(scope="session")
def user2(url: str) -> As:
    return As(url, "user2", ("readers",))


@pytest.fixture(scope="session")
def deployer(url: str) -> As:
    return As(url, "lead", ("deployers",))


@pytest.fixture(scope="session")
def admin(url: str) -> As:
    return As(url, "root", ("admins",))


@pytest.fixture(scope="session")
def ask_python(folder: Path) -> Any:
    """Run a program with the server's interpreter, and return what it prints as JSON."""

    def run(program: str, **more: str) -> Any:
        variables = environment(folder, **more)
        done = subprocess.run(
            python(folder, variables, "-c", program),
            env=local(variables),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
