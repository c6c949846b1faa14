"""Who is at the door, and may they come in? The hub knows, and is asked."""

from __future__ import annotations

import logging
from typing import Any

from jupyterhub.services.auth import HubOAuth

from .headers import Visitor
from .settings import Page, Settings

LOG = logging.getLogger(__name__)
# The group of the hub's admins, whom the hub marks by a flag.
ADMINS = "admins"


class HubDoesNotAnswer(Exception):
    """The hub could not be asked."""


class DoorAuth(HubOAuth):
    """JupyterHub's own login of a service by OAuth, for one page."""

    def _get_token_url(self, handler: Any) -> str:
        """Take no token from an address: it would stand in logs, and in the request to the back end."""
        return ""


def auth_of(page: Page, settings: Settings) -> DoorAuth:
    """Return the login of a page."""
    return DoorAuth(
        api_url=settings.hub_api_url,
        api_token=page.token,
        base_url=settings.prefix(page),
        hub_prefix=f"{settings.base_url}hub/",
        oauth_client_id=f"service-{page.name}",
        access_scopes={f"access:services!service={page.name}"},
        cache_max_age=settings.cache_seconds,
        cookie_options={"SameSite": "Lax"},
    )


async def ask(auth: DoorAuth, handler: Any) -> dict[str, Any] | None:
    """Return what the hub says of a request's user or service; None if it knows none.

    A request with a token is judged by that token alone, also where a cookie would let it in.
    """
    try:
        model: dict[str, Any] | None = await auth.get_user(handler, sync=False)
    except Exception as error:  # JupyterHub lets errors of several libraries through
        LOG.warning(
            "The hub does not answer: %s", getattr(error, "log_message", None) or type(error).__name__
        )
        raise HubDoesNotAnswer from error
    if auth.get_token(handler, in_cookie=False) and not getattr(handler, "_token_authenticated", False):
        return None
    return model


async def is_still_in(auth: DoorAuth, token: str) -> bool:
    """Return whether a token opens the page now; the answer of a hub that does not answer is yes."""
    try:
        model = await auth.user_for_token(token, use_cache=False, sync=False)
    except Exception:  # as above
        return True
    return model is not None and may_open(auth, model)


def may_open(auth: DoorAuth, model: dict[str, Any]) -> bool:
    """Return whether the hub's scopes open the page."""
    return bool(auth.check_scopes(auth.access_scopes, model))


def visitor(model: dict[str, Any]) -> Visitor:
    """Return who a back end is told it is. No user's name has a colon, so no service passes for a user."""
    if model.get("kind") == "service":
        return Visitor(f"service:{model['name']}")
    groups = {*model.get("groups", ()), *((ADMINS,) if model.get("admin") else ())}
    return Visitor(model["name"], tuple(sorted(groups)))
