"""Log people in by the password hashes in the Secret `hub-users` beside the hub.

The Secret is the list of users. A user who is removed from it loses the session and cannot log in again. The
Secret is read at each login, so that a new user or another password needs no restart.
The methods are those of jupyterhub.auth.Authenticator.
"""

import asyncio
import base64
import math
import os
import time
from pathlib import Path
from typing import Any

from hub_passwords import NOBODY, AttemptLimit, BadHash, verify_password
from jupyterhub.auth import Authenticator
from kubernetes_asyncio.client import ApiException
from kubespawner.clients import load_config, shared_client
from tornado.web import HTTPError
from traitlets import Bool, Dict, Integer, List, Unicode, default

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class HubUsersAuthenticator(Authenticator):
    """Give each user a password of their own, without an identity provider."""

    secret_name = Unicode("hub-users", help="Name of the Secret: user name to scrypt hash").tag(config=True)
    secret_namespace = Unicode(help="Namespace of the Secret; the hub's own by default").tag(config=True)
    free_attempts = Integer(5, help="Wrong passwords in a row before a name has to wait").tag(config=True)
    concurrent_checks = Integer(4, help="Passwords checked at one time; bounds the hub's memory").tag(
        config=True
    )
    groups = Dict(
        List(Unicode()),
        help="Groups and the names of their users; with manage_groups, nobody is in any other group",
    ).tag(config=True)
    # JupyterHub demands a rule for who is allowed. Here everybody is who has a hash in the Secret.
    allow_all = Bool(True).tag(config=True)

    @default("secret_namespace")
    def _default_secret_namespace(self) -> str:
        if namespace := os.environ.get("POD_NAMESPACE"):
            return namespace
        return ACCOUNT.read_text(encoding="utf-8").strip()

    def __init__(self, **kwargs: Any) -> None:
        """Take JupyterHub's configuration (traits as keywords), and start without failed logins."""
        super().__init__(**kwargs)
        self._limit = AttemptLimit(free=self.free_attempts)
        self._checks = asyncio.Semaphore(self.concurrent_checks)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Return the user's name and admin flag, or None for a wrong name or password.

        A name with too many wrong passwords gets HTTP 429, and a Secret that cannot be read HTTP 503.
        """
        name = self.normalize_username(data.get("username", ""))
        stored = (await self._read_hashes()).get(name)
        wait = self._limit.wait(name, time.monotonic())
        if wait > 0:
            raise HTTPError(429, f"Too many wrong passwords for this user. Try again in {math.ceil(wait)} s.")
        # The attempt is counted before the check, so that guesses sent at the same time do not all pass.
        self._limit.failed(name, time.monotonic())
        if not await self._verify(name, data.get("password", ""), stored):
            return None
        self._limit.succeeded(name)
        return self._told(name)

    async def refresh_user(self, user: Any, handler: Any = None) -> bool | dict[str, Any]:
        """Return False if the user is no longer in the Secret, else the present admin flag and groups."""
        hashes = await self._read_hashes()
        if user.name not in hashes:
            return False
        return self._told(user.name)

    def _told(self, name: str) -> dict[str, Any]:
        """Return what JupyterHub is told of a user. It takes groups only if they are managed here."""
        told = {"name": name, "admin": name in self.admin_users}
        groups = sorted(group for group, names in self.groups.items() if name in names)
        return {**told, "groups": groups} if self.manage_groups else told

    async def _verify(self, name: str, password: str, stored: str | None) -> bool:
        """Compare in a thread: one check takes a tenth of a second, and would block the hub's event loop."""
        async with self._checks:
            try:
                same = await asyncio.to_thread(verify_password, password, stored or NOBODY)
            except BadHash as error:
                self.log.error("Secret %s, user %s: %s", self.secret_name, name, error)
                return False
        return same and stored is not None

    async def _read_hashes(self) -> dict[str, str]:
        """Return the hashes by user name, as they are now in the Secret; nothing if there is no Secret."""
        load_config()
        api = shared_client("CoreV1Api")
        try:
            secret = await asyncio.wait_for(
                api.read_namespaced_secret(self.secret_name, self.secret_namespace), timeout=10
            )
        except ApiException as error:
            if error.status == 404:
                self.log.error("There is no Secret %s: nobody can log in", self.secret_name)
                return {}
            self.log.error("Reading Secret %s failed: %s %s", self.secret_name, error.status, error.reason)
            raise HTTPError(
                503, "The hub cannot read its list of users now. Try again in a moment."
            ) from error
        except (OSError, TimeoutError) as error:
            self.log.error("Reading Secret %s failed: %r", self.secret_name, error)
            raise HTTPError(
                503, "The hub cannot read its list of users now. Try again in a moment."
            ) from error
        return {name: base64.b64decode(value).decode() for name, value in (secret.data or {}).items()}
