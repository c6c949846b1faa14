"""The hub of the tests: people, groups, and the pages as services with the rights that the role gives."""

import json
from pathlib import Path
from typing import Any

from jupyterhub.proxy import Proxy

TOLD = json.loads(Path("hub.json").read_text())


class NoProxy(Proxy):
    """The tests themselves send each path to the right place."""

    should_start = False
    routes: dict[str, Any] = {}

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        """Remember a route."""
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        """Forget a route."""
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        """Return what was remembered."""
        return self.routes


c = get_config()  # type: ignore[name-defined]  # noqa: F821 (traitlets puts it here)
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{TOLD['port']}"
c.JupyterHub.bind_url = f"http://127.0.0.1:{TOLD['proxy_port']}"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "open-sesame"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"root"}
c.JupyterHub.load_groups = {"deployers": {"users": ["grace"]}, "others": {"users": ["ada"]}}
c.JupyterHub.services = [
    {
        "name": name,
        "url": "http://127.0.0.1:1",
        "api_token": token,
        "oauth_no_confirm": True,
        "display": name != "gone",
    }
    for name, token in TOLD["tokens"].items()
] + [{"name": "tests", "api_token": TOLD["admin"]}]
FOR_ALL = [
    f"access:services!service={name}" for name in TOLD["tokens"] if name not in ("deploys", "admin-page")
]
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", *FOR_ALL]},
    {"name": "door-deploys", "scopes": ["access:services!service=deploys"], "groups": ["deployers"]},
    {"name": "tests", "scopes": ["admin:users", "tokens", "admin:groups"], "services": ["tests"]},
]
