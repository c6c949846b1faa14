"""Where versions of models are, and which one is the champion: MLflow's registry, or a folder.

Serving only reads, so it speaks MLflow's REST API with the standard library: MLflow's own client takes 3
seconds and 80 MiB to import. Training writes with MLflow's client (`MlflowRegistry.publish`).
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from .artifact import CARD

TIMEOUT = 30.0
# The tag of the candidate's version that says which share of customers it answers, from 0 to 0.5.
SHARE_TAG = "canary_share"
PIECE = 1 << 20
# How MLflow says that a model, a version, or an alias is not there. Others may answer 404, too.
MISSING = re.compile(r'"RESOURCE_DOES_NOT_EXIST"|Registered model alias \S+ not found')


class RegistryProblem(RuntimeError):
    """A registry that does not answer, or that does not have what was asked for."""


class NotThere(RegistryProblem):
    """A model, version or alias that the registry does not have."""


class Registry(Protocol):
    """What serving, training and operations need of a registry. Each method may raise RegistryProblem."""

    def version_of(self, name: str, alias: str) -> str:
        """Return the version that an alias points to. NotThere if there is no such model or alias."""
        ...

    def tags(self, name: str, version: str) -> dict[str, str]:
        """Return the tags of a version."""
        ...

    def fetch(self, name: str, version: str, folder: Path) -> None:
        """Copy the files of a version into a folder, which is made."""
        ...

    def publish(self, name: str, folder: Path, tags: Mapping[str, str], metrics: Mapping[str, float]) -> str:
        """Add the files of a folder as a new version, and return its number."""
        ...

    def point(self, name: str, alias: str, version: str | None) -> None:
        """Let an alias point to a version, or remove it."""
        ...

    def note(self, name: str, version: str, tags: Mapping[str, str], files: Mapping[str, str]) -> None:
        """Add tags and texts (by their path) to what is known of a version. Its own files stay."""
        ...


def found_version(registry: Registry, name: str, alias: str) -> str:
    """Return the version that an alias points to; empty if there is no such model or alias."""
    try:
        return registry.version_of(name, alias)
    except NotThere:
        return ""


def open_registry(url: str, token_file: str = "") -> Registry:
    """Return the registry at an address: file:// is a folder, http:// and https:// are MLflow."""
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        return FolderRegistry(Path(rest))
    if scheme in ("http", "https"):
        return MlflowRegistry(url, token_file)
    raise RegistryProblem(f"{url} is no registry: write file:///FOLDER or the http(s) address of MLflow")


class FolderRegistry:
    """A registry in a folder: NAME/versions/NUMBER has files; NAME/tags/NUMBER.json, NAME/aliases/ALIAS."""

    def __init__(self, root: Path) -> None:
        """Open the folder, which may not exist yet."""
        self.root = root

    def version_of(self, name: str, alias: str) -> str:
        """Return the version that an alias points to."""
        try:
            return (self.root / name / "aliases" / alias).read_text().strip()
        except FileNotFoundError:
            raise NotThere(f"{self.root} has no {name}@{alias}") from None

    def versions(self, name: str) -> list[str]:
        """Return all versions of a model, the oldest first."""
        return sorted((each.name for each in (self.root / name / "versions").glob("[0-9]*")), key=int)

    def tags(self, name: str, version: str) -> dict[str, str]:
        """Return the tags of a version."""
        try:
            content = (self.root / name / "tags" / f"{version}.json").read_bytes()
        except FileNotFoundError:
            raise NotThere(f"{self.root} has no version {version} of {name}") from None
        return msgspec.json.decode(content, type=dict[str, str])

    def fetch(self, name: str, version: str, folder: Path) -> None:
        """Copy the files of a version into a folder."""
        source = self.root / name / "versions" / version
        if not source.is_dir():
            raise NotThere(f"{self.root} has no version {version} of {name}")
        shutil.copytree(source, folder)

    def publish(self, name: str, folder: Path, tags: Mapping[str, str], metrics: Mapping[str, float]) -> str:
        """Add a version. The metrics are kept as tags. One writer at a time."""
        version = str(max((int(each) for each in self.versions(name)), default=0) + 1)
        found = dict(tags) | {f"metric.{key}": repr(value) for key, value in metrics.items()}
        replace(self.root / name / "tags" / f"{version}.json", msgspec.json.encode(found))
        target = self.root / name / "versions" / version
        part = target.with_name(f".{version}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(folder, part)
        part.rename(target)
        return version

    def point(self, name: str, alias: str, version: str | None) -> None:
        """Let an alias point to a version, at once for all readers."""
        path = self.root / name / "aliases" / alias
        if version is None:
            path.unlink(missing_ok=True)
            return
        if not (self.root / name / "versions" / version).is_dir():
            raise NotThere(f"{self.root} has no version {version} of {name}")
        replace(path, version.encode())

    def note(self, name: str, version: str, tags: Mapping[str, str], files: Mapping[str, str]) -> None:
        """Add tags, and texts at NAME/notes/NUMBER/PATH."""
        for path, text in files.items():
            replace(self.root / name / "notes" / version / path, text.encode())
        found = self.tags(name, version) | dict(tags)
        replace(self.root / name / "tags" / f"{version}.json", msgspec.json.encode(found))


def replace(path: Path, content: bytes) -> None:
    """Write a file as a whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


class MlflowRegistry:
    """MLflow's registry. Files come through its artifact proxy, so nobody here needs a key of the store."""

    def __init__(self, url: str, token_file: str = "") -> None:
        """Open it; nothing is asked yet. The token is read for each request, so that it can be renewed."""
        self.url = url.rstrip("/")
        self.token_file = token_file

    def _open(self, path: str, query: Mapping[str, str]) -> http.client.HTTPResponse:
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}" if query else f"{self.url}{path}"
        headers = {"Authorization": f"Bearer {token}"} if (token := self._token()) else {}
        try:
            answer: http.client.HTTPResponse = urllib.request.urlopen(
                urllib.request.Request(address, headers=headers), timeout=TIMEOUT
            )
        except urllib.error.HTTPError as problem:
            said = problem.read(2000).decode(errors="replace")
            kind = NotThere if MISSING.search(said) else RegistryProblem
            raise kind(f"MLflow answers {problem.code} to {path}: {said}") from None
        except (OSError, http.client.HTTPException) as problem:
            raise RegistryProblem(f"MLflow at {self.url} does not answer: {problem}") from None
        return answer

    def _token(self) -> str:
        if not self.token_file:
            return ""
        try:
            return Path(self.token_file).read_text().strip()
        except OSError as problem:
            raise RegistryProblem(f"the registry's token cannot be read: {problem}") from None

    def _ask(self, address: str, **query: str) -> Any:
        with self._open(address, query) as answer:
            try:
                return msgspec.json.decode(answer.read())
            except (http.client.HTTPException, msgspec.DecodeError) as problem:
                raise RegistryProblem(f"MLflow's answer to {address} cannot be read: {problem}") from None

    def version_of(self, name: str, alias: str) -> str:
        """Return the version that an alias points to."""
        found = self._ask("/api/2.0/mlflow/registered-models/alias", name=name, alias=alias)
        return str(found["model_version"]["version"])

    def tags(self, name: str, version: str) -> dict[str, str]:
        """Return the tags of a version."""
        found = self._ask("/api/2.0/mlflow/model-versions/get", name=name, version=version)
        return {each["key"]: each["value"] for each in found["model_version"].get("tags", [])}

    def fetch(self, name: str, version: str, folder: Path) -> None:
        """Copy the files of a version into a folder."""
        found = self._ask("/api/2.0/mlflow/model-versions/get-download-uri", name=name, version=version)
        uri = str(found["artifact_uri"])
        if not uri.startswith("mlflow-artifacts:/"):
            raise RegistryProblem(
                f"version {version} of {name} is at {uri}, which MLflow does not hand out: start MLflow with "
                "--artifacts-destination"
            )
        self._copy(urllib.parse.urlsplit(uri).path.lstrip("/"), folder)

    def _copy(self, path: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        base = "/api/2.0/mlflow-artifacts/artifacts"
        for each in self._ask(base, path=path).get("files", []):
            name = str(each["path"]).rpartition("/")[2]
            if name in ("", ".", ".."):
                raise RegistryProblem(f"MLflow names a file {each['path']!r}")
            if each.get("is_dir"):
                self._copy(f"{path}/{name}", folder / name)
                continue
            address = f"{base}/{urllib.parse.quote(f'{path}/{name}')}"
            with self._open(address, {}) as answer, (folder / name).open("wb") as file:
                shutil.copyfileobj(answer, file, PIECE)
                if answer.length:
                    raise RegistryProblem(f"MLflow's answer lacks the last {answer.length} bytes of {name}")

    def _client(self) -> Any:
        os.environ["MLFLOW_TRACKING_URI"] = self.url
        if token := self._token():
            os.environ["MLFLOW_TRACKING_TOKEN"] = token
        import mlflow

        return mlflow.MlflowClient(tracking_uri=self.url, registry_uri=self.url)

    def publish(self, name: str, folder: Path, tags: Mapping[str, str], metrics: Mapping[str, float]) -> str:
        """Add a version with a run that has its metrics and files."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            found = client.get_experiment_by_name(name)
            experiment = found.experiment_id if found else client.create_experiment(name)
            run = client.create_run(experiment, tags=dict(tags))
            for key, value in metrics.items():
                client.log_metric(run.info.run_id, key, value)
            client.log_artifacts(run.info.run_id, str(folder), "model")
            client.set_terminated(run.info.run_id)
            try:
                client.create_registered_model(name)
            except MlflowException as problem:
                if problem.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            source = f"{run.info.artifact_uri}/model"
            version = client.create_model_version(name, source, run.info.run_id, tags=dict(tags))
        except MlflowException as problem:
            raise RegistryProblem(f"MLflow did not take the version: {problem}") from None
        return str(version.version)

    def point(self, name: str, alias: str, version: str | None) -> None:
        """Let an alias point to a version, or remove it."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            if version is None:
                client.delete_registered_model_alias(name, alias)
            else:
                client.set_registered_model_alias(name, alias, version)
        except MlflowException as problem:
            raise RegistryProblem(f"MLflow did not move {name}@{alias}: {problem}") from None

    def note(self, name: str, version: str, tags: Mapping[str, str], files: Mapping[str, str]) -> None:
        """Add tags to a version, and texts to the artifacts of the run that it came from, if there is one."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            run = client.get_model_version(name, version).run_id
            for path, text in files.items() if run else ():
                client.log_text(run, text, path)
            for key, value in tags.items():
                client.set_model_version_tag(name, version, key, value)
        except (MlflowException, OSError) as problem:  # files are refused by an error of the library requests
            raise RegistryProblem(f"MLflow took no note of version {version} of {name}: {problem}") from None


def is_ours(folder: Path) -> bool:
    """Return whether the files of a version are those of this package."""
    return (folder / CARD).is_file()
