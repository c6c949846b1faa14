"""Rules for the pages that the door shows: their names, addresses and groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..common.addresses import web_place
from ..common.kubernetes_names import label_problem
from ..common.suggestions import did_you_mean
from ..door.pages import ADMINS, PAGES, pages_of
from ..jupyterhub.values import value_at
from .platform import Platform

# Services of the hub that are there already: the roles' own, and the one that stops idle servers.
TAKEN = ("metalworks", "jupyterhub-idle-culler")
LISTED = "metalworks_pages"


def door_without_hub(platform: Platform) -> Iterator[str]:
    """Refuse a door without a hub, which alone knows who may come in."""
    if not platform.has_part("jupyterhub"):
        yield "metalworks_parts has door and not jupyterhub, whose login the door needs: add jupyterhub"


def page_names(platform: Platform) -> Iterator[str]:
    """Refuse names of pages that no address can have, that are taken, or that are listed twice."""
    names = [page.get("name") for page in _pages(platform)]
    services = value_at(platform.values["jupyterhub_values"], "hub.services")
    own = [*TAKEN, *(services if isinstance(services, Mapping) else ())]
    for name, count in Counter(map(str, names)).items():
        if problem := label_problem(name, "reports"):
            yield f"{LISTED}, page {name!r}: {problem}"
        if name in own:
            yield f"{LISTED}, page {name!r}: the hub has a service of this name already; write another one"
        if count > 1:
            yield f"{LISTED} lists the page {name!r} {count} times: keep one"


def page_addresses(platform: Platform) -> Iterator[str]:
    """Refuse addresses of back ends that the door cannot use."""
    for page in _pages(platform):
        url = str(page.get("url", ""))
        if web_place(url) is None or not re.fullmatch(r"https?://[^/?#]+/?", url):
            yield (
                f"{LISTED}, page {page.get('name')!r}: url is {url!r}: write scheme, host and port, and no "
                "path, like http://grafana.watch.svc.cluster.local:3000"
            )


def page_groups(platform: Platform) -> Iterator[str]:
    """Refuse a page for a group that the hub does not have, which nobody but admins could open."""
    known = [*platform.values["jupyterhub_groups"], ADMINS]
    for page in _pages(platform):
        for group in page.get("groups") or ():
            if group not in known:
                yield (
                    f"{LISTED}, page {page.get('name')!r}: jupyterhub_groups has no group {group!r}"
                    f"{did_you_mean(group, known)}"
                )


def door_key(platform: Platform) -> Iterator[str]:
    """Refuse a key of the door that can be guessed."""
    if platform.gives("metalworks_door_key") and len(str(platform.values["metalworks_door_key"])) < 32:
        yield "metalworks_door_key has fewer than 32 characters: make one with openssl rand -hex 32"


def door_bounds(platform: Platform) -> Iterator[str]:
    """Refuse bounds with which no request would come through."""
    for name in ("door_max_body_gib", "door_idle_seconds"):
        if int(platform.values[name]) < 1:
            yield f"{name} is {platform.values[name]}: write 1 or more"


PART = "door"


def _pages(platform: Platform) -> list[Mapping[str, Any]]:
    if platform.gives(LISTED):
        return [page for page in platform.values[LISTED] if isinstance(page, Mapping)]
    parts = [part for part in platform.values["metalworks_parts"] if part in PAGES]
    return list(pages_of(parts, {part: str(platform.values[f"{part}_namespace"]) for part in parts}))
