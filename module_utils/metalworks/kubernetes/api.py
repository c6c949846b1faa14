"""A small client of the Kubernetes API for modules: objects as plain dictionaries, errors as sentences.

The generated classes of the `kubernetes` package are not used: they cost a second to import, and modules run
often.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..common.json_api import ApiError as ApiError
from ..common.json_api import JsonApi
from .kubeconfig import OURS, KubeconfigError, parse
from .login import LoginError, login_headers, with_credentials

Object = dict[str, Any]

FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
ARGUMENTS: dict[str, Any] = {
    "kubeconfig": {"type": "path"},
    "context": {"type": "str"},
}


class NoContextError(ApiError):
    """The kubeconfig does not exist, or lacks the context: there is no cluster yet, as far as it tells."""


class KubernetesApi(JsonApi):
    """A client for one cluster, made from a context of a kubeconfig file."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        """Read the context and its credentials. ApiError says what is missing or cannot be read."""
        path = Path(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
        cluster, user = read_context(path, context)
        where = f"The kubeconfig file {path}, context '{context or 'now selected'}'"
        try:
            user = with_credentials(user, cluster)
            self.login = login_headers(user)
        except LoginError as error:
            raise ApiError(f"{where}: {error}") from error
        try:
            self.tls = make_ssl_context(cluster, user)
        except (OSError, ValueError) as error:
            raise ApiError(f"{where}: a certificate or key cannot be read: {error}") from error
        self.proxy: str = cluster.get("proxy-url") or ""
        self.tls_name = str(cluster.get("tls-server-name") or "")
        super().__init__(
            cluster["server"].strip(),
            {"Accept": "application/json, */*", **self.login},
            https_handler(self.tls, self.tls_name),
            proxies={"http": self.proxy, "https": self.proxy} if self.proxy else {},
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return an object or a list by its path."""
        return self.request("GET", path, **query)

    def _parse(self, text: str, content_type: str) -> Any:
        """Return a parsed JSON answer, or the text of any other, such as a log."""
        return super()._parse(text, content_type) if "json" in content_type else text


def https_handler(trusted: ssl.SSLContext, name: str) -> urllib.request.HTTPSHandler:
    """Return what opens https://. With a name (tls-server-name), the certificate has to be that name's."""

    class Named(http.client.HTTPSConnection):
        """A connection on which another name than the address is asked for."""

        def connect(self) -> None:
            """Connect, through the proxy if there is one, and check the certificate."""
            http.client.HTTPConnection.connect(self)
            self.sock = trusted.wrap_socket(self.sock, server_hostname=name)

    class Handler(urllib.request.HTTPSHandler):
        """Opens such connections."""

        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            """Send one request."""
            return self.do_open(Named, req)

    return Handler() if name else urllib.request.HTTPSHandler(context=trusted)


def read_context(path: Path, name: str | None) -> tuple[Object, Object]:
    """Return the cluster and the user of a context (without a name: of the current one)."""
    try:
        config = parse(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise NoContextError(f"The kubeconfig file {path} cannot be read: {error.strerror}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ApiError(f"The kubeconfig file {path} cannot be read: {reason}") from error
    except KubeconfigError as error:
        raise ApiError(f"The kubeconfig file {error}") from error
    name = name or config.get("current-context") or ""
    contexts = entries(config, "contexts", "context")
    if name not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise NoContextError(f"The kubeconfig file {path} has no context '{name}'. It has: {known}.")
    context = contexts[name]
    where = f"The kubeconfig file {path}, context '{name}'"
    cluster = named(config, "cluster", context.get("cluster"), where)
    user = named(config, "user", context.get("user"), where)
    server = cluster.get("server")
    if not server:
        raise ApiError(f"{where}: its cluster has no server: write the API's address.")
    if not isinstance(server, str) or not server.strip().lower().startswith(("https://", "http://")):
        raise ApiError(f"{where}: its cluster has the server {server}: write https:// before the address.")
    if problem := proxy_problem(cluster):
        raise ApiError(f"{where}: {problem}.")
    return beside(path, cluster), beside(path, user)


def proxy_problem(cluster: Object) -> str | None:
    """Return why a cluster's proxy cannot be used.

    kubectl takes socks5:// and https:// as well. Without it, another server could be reached.
    """
    if str(cluster.get("proxy-url") or "http://").lower().startswith("http://"):
        return None
    return (
        f"its cluster has the proxy-url {cluster['proxy-url']}, and only http:// is known here: "
        "write a proxy of that kind, or an address into server that is reached without one"
    )


def kept_problem(path: Path, name: str) -> str | None:
    """Return why a context that is written anew could not be used, for what the operator added to it.

    These keys stay (kubeconfig.OURS has the others), and the platform uses them as kubectl does.
    """
    try:
        config = parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError, KubeconfigError):
        return None  # there is none yet, or it cannot be written either
    cluster = entries(config, "clusters", "cluster").get(name) or {}
    user = entries(config, "users", "user").get(name) or {}
    kept = {key: value for key, value in user.items() if key not in OURS["user"]}
    try:
        login_headers(with_credentials(kept, cluster))
    except LoginError as error:
        return f"context {name}: {error}"
    problem = proxy_problem(cluster)
    return f"context {name}: {problem}" if problem else None


def named(config: Object, singular: str, name: object, where: str) -> Object:
    """Return the cluster or user that a context names."""
    found = entries(config, f"{singular}s", singular)
    if name not in found:
        raise ApiError(f"{where}: it names the {singular} {name!r}, which is not there.")
    return found[str(name)]


def entries(config: Object, kind: str, singular: str) -> dict[str, Object]:
    """Return the entries of a list of a kubeconfig by their names."""
    return {each["name"]: each.get(singular) or {} for each in config.get(kind) or []}


def beside(path: Path, entry: Object) -> Object:
    """Return an entry with absolute paths.

    Relative ones start at the kubeconfig's folder, as with kubectl. A command without a slash is searched
    in PATH.
    """
    files: Object = {
        key: str(path.parent / Path(str(entry[key])).expanduser()) for key in FILES if entry.get(key)
    }
    plugin = entry.get("exec")
    if isinstance(plugin, dict) and "/" in str(plugin.get("command")):
        files["exec"] = {**plugin, "command": str(path.parent / plugin["command"])}
    return {**entry, **files}


def make_ssl_context(cluster: Object, user: Object) -> ssl.SSLContext:
    """Return a TLS context that trusts the cluster's CA and has the user's certificate, if there is one.

    ValueError and OSError say what cannot be read.
    """
    authority = cluster.get("certificate-authority-data")
    context = ssl.create_default_context(
        cafile=cluster.get("certificate-authority"),
        cadata=decoded(authority).decode() if authority else None,
    )
    # Python 3.13 wants extensions of certificates that older CAs lack, and kubectl does not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with in_a_file(user, "client-certificate") as certificate, in_a_file(user, "client-key") as key:
        if bool(certificate) != bool(key):
            raise ValueError("client-certificate and client-key belong together, and one of them is missing")
        if certificate:
            context.load_cert_chain(certificate, key)
    return context


def decoded(encoded: object) -> bytes:
    """Return the content of a field that ends in -data; ValueError if it is not in base64."""
    return base64.b64decode("".join(str(encoded).split()), validate=True)


@contextlib.contextmanager
def in_a_file(user: Object, name: str) -> Iterator[str]:
    """Yield the path of a certificate or key; empty if the user has none.

    What the kubeconfig holds as data goes into a temporary file, because Python reads files only. As with
    kubectl, data win over a file.
    """
    data = user.get(f"{name}-data")
    if not data:
        yield str(user.get(name) or "")
        return
    with tempfile.NamedTemporaryFile(mode="wb") as file:
        file.write(decoded(data))
        file.flush()
        yield file.name
