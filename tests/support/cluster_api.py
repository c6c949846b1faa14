"""A Kubernetes API in this process, over plain HTTP: it answers what it was told to, and only that."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from tests.support.servers import Silent, running

SERVICES, CLASSES = "/api/v1/services", "/apis/storage.k8s.io/v1/storageclasses"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
HUBS = "/apis/apps/v1/namespaces/hub/deployments?labelSelector=component%3Dhub"
HUB_SECRETS = "/api/v1/namespaces/hub/secrets?labelSelector=component%3Dhub"


def node(name: str, *, ready: bool = True, arch: str = "amd64", **addresses: str) -> dict[str, Any]:
    """A node as the API gives it."""
    return {
        "metadata": {"name": name},
        "status": {
            "addresses": [{"type": kind, "address": address} for kind, address in addresses.items()],
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "nodeInfo": {"architecture": arch},
        },
    }


def answers(**changed: Any) -> dict[str, Any]:
    """What a cluster on which the platform can run answers."""
    default = {
        "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    }
    return {
        "/version": {"gitVersion": "v1.34.4+k3s1"},
        "/api/v1/nodes": {"items": [node("one", InternalIP="192.0.2.1")]},
        CLASSES: {"items": [default]},
        SERVICES: {"items": []},
        "/api/v1/namespaces/hub": {"metadata": {"name": "hub"}},
        HUBS: {"items": []},
        HUB_SECRETS: {"items": []},
        "denied": [],
        **changed,
    }


def hub(data: Mapping[str, str]) -> dict[str, Any]:
    """What a cluster answers of a hub in the namespace `hub`, whose Secret holds this."""
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {
        HUBS: {"items": [{"metadata": {"name": "hub"}}]},
        HUB_SECRETS: {"items": [{"metadata": {"name": "hub"}, "data": encoded}]},
    }


class Handler(Silent):
    """One request."""

    known: Mapping[str, Any]

    def do_GET(self) -> None:
        token = self.known.get("token")
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            return self.reply(401, {"message": "Unauthorized"})
        found = self.known.get(self.path)
        if isinstance(found, int):
            return self.reply(found, {"message": f"{self.path} is refused"})
        return self.reply(404 if found is None else 200, found or {"message": "not found"})

    def do_POST(self) -> None:
        assert self.path == REVIEWS
        asked = self.sent()
        resource = asked["spec"]["resourceAttributes"]["resource"]
        self.reply(201, {"status": {"allowed": resource not in self.known["denied"]}})


@contextmanager
def serving(known: Mapping[str, Any], folder: Path, **user: Any) -> Iterator[Path]:
    """Run it on a free port, and yield a kubeconfig with the context `test` that leads there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"known": known}))
    with running(server) as address:
        yield kubeconfig(folder, f"http://{address}", **user)


def kubeconfig(folder: Path, server: str, **user: Any) -> Path:
    """A kubeconfig with one context."""
    path = folder / "kubeconfig"
    config = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path
