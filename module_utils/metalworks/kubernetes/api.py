"""A small client of the Kubernetes API for modules: objects as plain dictionaries, errors as sentences.

The generated classes of the `kubernetes` package are not used: they cost a second to import, and modules run
often.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .kubeconfig import KubeconfigError, parse

Object = dict[str, Any]

# What kubectl knows and this client does not: it would ask another address, or believe another certificate.
UNKNOWN = {
    "proxy-url": "write an address into server that is reached without a proxy",
    "tls-server-name": "write a name into server that is in the API's certificate",
}
FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
ARGUMENTS: dict[str, Any] = {
    "kubeconfig": {"type": "path"},
    "context": {"type": "str"},
}


class ApiError(Exception):
    """The API refused, or could not be asked. `status` is 0 where no answer came."""

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the HTTP status of the API's answer; 0 means that no answer came."""
        super().__init__(message)
        self.status = status


class KubernetesApi:
    """One cluster, as one context of a kubeconfig file describes it."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        """Read the context and its credentials. ApiError says what is missing or cannot be read."""
        path = Path(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
        cluster, user = read_context(path, context)
        self.server = str(cluster["server"]).rstrip("/")
        where = f"The kubeconfig file {path}, context '{context or 'now selected'}'"
        user = with_credentials(user, where)
        self._token = user.get("token")
        try:
            self._ssl = make_ssl_context(cluster, user)
        except (OSError, ValueError, KeyError) as error:
            raise ApiError(f"{where}: a certificate or key cannot be read: {error}") from error
        # A proxy of the operator's computer leads to the internet, not to the cluster.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._ssl)
        )

    def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        content_type: str = "application/json",
        **query: Any,
    ) -> Any:
        """One request; JSON answers come parsed, others (a log) as text."""
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        request.add_header("Accept", "application/json, */*")
        if data is not None:
            request.add_header("Content-Type", content_type)
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with self._opener.open(request, timeout=30) as answer:
                text = answer.read().decode()
                return json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
        except urllib.error.HTTPError as error:
            raise ApiError(f"{method} {path}: {error.code} {read_message(error)}", error.code) from error
        except (OSError, ValueError) as error:
            raise ApiError(f"{method} {self.server}{path}: {getattr(error, 'reason', error)}") from error

    def get(self, path: str, **query: Any) -> Any:
        """An object or a list."""
        return self.request("GET", path, **query)

    def find(self, path: str) -> Object | None:
        """An object, or None where there is none."""
        try:
            found: Object = self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found


def read_message(error: urllib.error.HTTPError) -> str:
    """The sentence in a refusal of the API."""
    text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text).get("message") or text)
    except ValueError:
        return text[:300] or str(error.reason)


def read_context(path: Path, name: str | None) -> tuple[Object, Object]:
    """The cluster and the user of a context of a kubeconfig file."""
    try:
        config = parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or "it is no text"
        raise ApiError(f"The kubeconfig file {path} cannot be read: {said}") from error
    except KubeconfigError as error:
        raise ApiError(f"The kubeconfig file {error}") from error
    name = name or config.get("current-context") or ""
    contexts = entries(config, "contexts", "context")
    if name not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise ApiError(f"The kubeconfig file {path} has no context '{name}'. It has: {known}.")
    context = contexts[name]
    where = f"The kubeconfig file {path}, context '{name}'"
    cluster = named(config, "cluster", context.get("cluster"), where)
    user = named(config, "user", context.get("user"), where)
    if not cluster.get("server"):
        raise ApiError(f"{where}: its cluster has no server: write the API's address.")
    for key in UNKNOWN.keys() & cluster.keys():
        raise ApiError(f"{where}: its cluster has {key}, which is not known here: {UNKNOWN[key]}.")
    return beside(path, cluster), beside(path, user)


def named(config: Object, singular: str, name: object, where: str) -> Object:
    """The cluster or user that a context names."""
    found = entries(config, f"{singular}s", singular)
    if name not in found:
        raise ApiError(f"{where}: it names the {singular} {name!r}, which is not there.")
    return found[str(name)]


def entries(config: Object, kind: str, singular: str) -> dict[str, Object]:
    """What a list of a kubeconfig holds, by name."""
    return {each["name"]: each.get(singular) or {} for each in config.get(kind) or []}


def beside(path: Path, entry: Object) -> Object:
    """An entry whose files are found from the folder of its kubeconfig, as kubectl finds them."""
    files = {key: str(path.parent / Path(entry[key]).expanduser()) for key in FILES if entry.get(key)}
    return {**entry, **files}


def with_credentials(user: Object, where: str) -> Object:
    """A user with what a file holds or a program gives, as clusters of cloud providers want it."""
    if user.get("tokenFile") and not user.get("token"):
        try:
            return {**user, "token": Path(user["tokenFile"]).read_text(encoding="utf-8").strip()}
        except OSError as error:
            raise ApiError(
                f"{where}: its tokenFile {user['tokenFile']} cannot be read: {error.strerror}"
            ) from error
    plugin = user.get("exec")
    if not plugin:
        return user
    variables = {item["name"]: item["value"] for item in plugin.get("env") or []}
    asked = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
    command = [plugin["command"], *(plugin.get("args") or [])]
    environment = {**os.environ, **variables, "KUBERNETES_EXEC_INFO": json.dumps(asked)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        status = json.loads(done.stdout)["status"]
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        why = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise ApiError(f"The kubeconfig asks {command[0]} for a login, which gives none: {why}") from error
    pair = {
        f"{theirs}-data": base64.b64encode(status[ours].encode()).decode()
        for ours, theirs in (("clientCertificateData", "client-certificate"), ("clientKeyData", "client-key"))
        if ours in status
    }
    return {**user, "token": status.get("token"), **pair}


def make_ssl_context(cluster: Object, user: Object) -> ssl.SSLContext:
    """Trust the cluster's authority, and show the user's certificate."""
    authority = cluster.get("certificate-authority-data")
    context = ssl.create_default_context(
        cafile=cluster.get("certificate-authority"),
        cadata=base64.b64decode(authority).decode() if authority else None,
    )
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if user.get("client-certificate-data"):
        with (
            private_file(user["client-certificate-data"]) as cert,
            private_file(user["client-key-data"]) as key,
        ):
            context.load_cert_chain(cert, key)
    elif user.get("client-certificate"):
        context.load_cert_chain(user["client-certificate"], user["client-key"])
    return context


@contextlib.contextmanager
def private_file(encoded: str) -> Any:
    """Python reads certificates from files only: one that only this user can read, while it is needed."""
    with tempfile.NamedTemporaryFile(mode="wb") as file:
        file.write(base64.b64decode(encoded))
        file.flush()
        yield file.name
