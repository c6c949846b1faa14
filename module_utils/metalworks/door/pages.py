"""The pages that the door shows, and what the hub, the door and the network are told of them.

A page is a dictionary as `metalworks_pages` has it: name, title, description, url, groups, strip_prefix,
secret.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ..kubernetes.policies import in_namespace

Page = Mapping[str, Any]

# The hub's admins. The hub marks them by a flag, and they may open every page.
ADMINS = "admins"
# The pages of the parts. Each part that has a page has it here, and nowhere else. Instead of its url it names
# the Service (service, port), because the namespace is the part's input.
PAGES: dict[str, list[dict[str, Any]]] = {
    "mlflow": [
        {
            "name": "mlflow",
            "title": "MLflow",
            "description": "Runs, metrics, and the registry of models.",
            "service": "mlflow",
            "port": 5000,
        }
    ],
    "monitoring": [
        {
            "name": "prometheus",
            "title": "Prometheus",
            "description": "Measurements of the cluster and of all parts.",
            "groups": [ADMINS],
            "service": "monitoring-prometheus",
            "port": 9090,
        },
        {
            "name": "alertmanager",
            "title": "Alertmanager",
            "description": "Alerts that fire, and silences.",
            "groups": [ADMINS],
            "service": "monitoring-alertmanager",
            "port": 9093,
        },
    ],
    "logging": [
        {
            "name": "logs",
            "title": "Logs",
            "description": "The logs of all pods and nodes.",
            "service": "logs",
            "port": 8427,
            "groups": [ADMINS],
        }
    ],
    "model": [
        {
            "name": "shop",
            "title": "Shop",
            "description": "A small shop that shows what the model recommends.",
            "service": "shop",
            "port": 8081,
        }
    ],
}
PORT = 8080
# Not everybody may open a page of groups, but everybody's server may ask for it: a token never has more
# rights than its owner.
DEFAULT_ROLES = {"user": ["self"], "server": ["users:activity!user", "access:servers!server"]}


def pages_of(parts: Iterable[str], namespaces: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the pages of some parts, in the form of metalworks_pages. Their namespaces are given by part."""
    return [_page(entry, namespaces[part]) for part in parts for entry in PAGES.get(part, [])]


def page_secrets(secrets: Mapping[str, str], parts: Iterable[str]) -> dict[str, str]:
    """Return the secrets, by page, that belong to pages of these parts.

    A page of the operator's may have the name of one whose part is left out.
    """
    own = {entry["name"] for part in parts for entry in PAGES.get(part, [])}
    return {name: secret for name, secret in secrets.items() if name in own}


def derived(key: str, purpose: str) -> str:
    """Return a secret for one purpose, 64 hexadecimal digits. It reveals neither the key nor the others."""
    return hmac.new(key.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def service_token(page: Page, key: str) -> str:
    """Return the token with which the door speaks to the hub for a page."""
    return derived(key, f"hub service {page['name']}")


def service_tokens(pages: Iterable[Page], key: str) -> dict[str, str]:
    """Return the tokens of all pages, each with a name that messages show in its place."""
    return {f"door_token_{page['name']}": service_token(page, key) for page in pages}


def hub_services(pages: Iterable[Page], key: str, namespace: str) -> dict[str, Any]:
    """Return the hub's services (`hub.services` of the chart): one for each page, all behind the door."""
    return {
        page["name"]: {
            "url": f"http://door.{namespace}.svc.cluster.local:{PORT}",
            "apiToken": service_token(page, key),
            "display": True,
            # The pages are the platform's own: nobody has to agree that they learn a visitor's name.
            "oauth_no_confirm": True,
            "info": {"title": title(page), "description": page.get("description") or ""},
        }
        for page in pages
    }


def hub_roles(pages: Sequence[Page]) -> dict[str, Any]:
    """Return the hub's roles (`hub.loadRoles` of the chart): who may open which page.

    JupyterHub's default role `admin` opens every service, so a page of the group `admins` needs no role.
    """
    open_to_all = [_scope(page) for page in pages if not page.get("groups")]
    roles: dict[str, Any] = {
        "user": {"scopes": DEFAULT_ROLES["user"] + open_to_all},
        "server": {"scopes": DEFAULT_ROLES["server"] + [_scope(page) for page in pages]},
    }
    for page in pages:
        groups = sorted({*(page.get("groups") or ())} - {ADMINS})
        if groups:
            roles[f"door-{page['name']}"] = {
                "description": f"Opens the page {title(page)}.",
                "scopes": [_scope(page)],
                "groups": groups,
            }
    return roles if pages else {}


def door_settings(
    pages: Iterable[Page],
    key: str,
    secrets: Mapping[str, str],
    hub: Mapping[str, str],
    limits: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the settings of the door (files/door/metalworks_door/settings.py).

    `secrets` are those of the pages by name, `hub` has namespace and base_url, `limits` go in as they are.
    """
    return {
        **limits,
        "hub_api_url": f"http://hub.{hub['namespace']}.svc.cluster.local:8081{hub['base_url']}hub/api",
        "base_url": hub["base_url"],
        "port": PORT,
        "cookie_secret": derived(key, "cookies"),
        "pages": [
            {
                "name": page["name"],
                "title": title(page),
                "url": page["url"].rstrip("/"),
                "token": service_token(page, key),
                "strip_prefix": bool(page.get("strip_prefix", True)),
                "secret": page.get("secret") or secrets.get(page["name"], ""),
            }
            for page in pages
        ],
    }


def hidden(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets of the door's settings, each with a name that messages show in its place."""
    pages = settings["pages"]
    return {
        "door_cookie_secret": settings["cookie_secret"],
        **{f"door_token_{page['name']}": page["token"] for page in pages},
        **{f"door_secret_{page['name']}": page["secret"] for page in pages if page["secret"]},
    }


def egress(pages: Iterable[Page]) -> list[dict[str, Any]]:
    """Return the rules of a NetworkPolicy that lead to the back ends of the pages, and nowhere else."""
    rules = [egress_to(page["url"]) for page in pages]
    return [rule for number, rule in enumerate(rules) if rule not in rules[:number]]


def egress_to(url: str) -> dict[str, Any]:
    """Return the rule of a NetworkPolicy that leads to an address.

    A Service of the cluster is known by its namespace. A name of the world outside can have any address, so
    that only the port can be named.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    ports = [{"port": parts.port or (443 if parts.scheme == "https" else 80), "protocol": "TCP"}]
    if namespace := namespace_of(host):
        return {"to": [in_namespace(namespace)], "ports": ports}
    try:
        address = ip_address(host)
    except ValueError:
        return {"ports": ports}
    return {"to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}], "ports": ports}


def namespace_of(host: str) -> str:
    """Return the namespace of a Service's name, such as `web` of api.web.svc.cluster.local; else nothing."""
    words = host.split(".")
    return words[1] if len(words) >= 3 and words[2] == "svc" else ""


def title(page: Page) -> str:
    """Return what people read."""
    return str(page.get("title") or page["name"])


def _page(entry: Page, namespace: str) -> dict[str, Any]:
    url = f"http://{entry['service']}.{namespace}.svc.cluster.local:{entry['port']}"
    return {key: value for key, value in entry.items() if key not in ("service", "port")} | {"url": url}


def _scope(page: Page) -> str:
    return f"access:services!service={page['name']}"
