"""How a user of a kubeconfig logs in: as kubectl does it, or an error that says what is not done here."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Object = dict[str, Any]

SECONDS = 60  # the longest that a program may take to log in
# What a program is told of the cluster if it asks for that (provideClusterInfo).
OF_THE_CLUSTER = (
    *("server", "tls-server-name", "insecure-skip-tls-verify"),
    *("certificate-authority-data", "proxy-url"),
)
# What kubectl does with a user, and this client does not -> why not, and what to write instead.
NOT_DONE = {
    "auth-provider": "kubectl has none since Kubernetes 1.26: write the program that took its place as exec",
    "as-groups": "only one user can be acted as: bind the rights to a user and write as",
    "as-user-extra": "only one user can be acted as: bind the rights to a user and write as",
}


class LoginError(Exception):
    """A user of a kubeconfig cannot log in; the message says why."""


def with_credentials(user: Object, cluster: Mapping[str, Any]) -> Object:
    """Return a user with the credentials that its tokenFile holds, or that its `exec` program prints."""
    for key, remedy in NOT_DONE.items():
        if user.get(key):
            raise LoginError(f"its user has {key}, which is not known here; {remedy}")
    if user.get("tokenFile") and not user.get("token"):
        try:
            return {**user, "token": Path(user["tokenFile"]).read_text(encoding="utf-8").strip()}
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise LoginError(f"its tokenFile {user['tokenFile']} cannot be read: {why}") from error
    return {**user, **_from_program(user["exec"], cluster)} if user.get("exec") else user


def login_headers(user: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that say who asks, and as whom."""
    headers = {}
    if user.get("token"):
        headers["Authorization"] = f"Bearer {user['token']}"
    elif user.get("username"):
        pair = f"{user['username']}:{user.get('password') or ''}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    if user.get("as"):
        headers["Impersonate-User"] = str(user["as"])
    if user.get("as-uid"):
        headers["Impersonate-Uid"] = str(user["as-uid"])
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            what = "token" if name == "Authorization" else "as"
            raise LoginError(f"its {what} has a line break or another character that no request can carry")
    return headers


def _from_program(plugin: Any, cluster: Mapping[str, Any]) -> Object:
    """Return the token or the certificate that a program prints (client.authentication.k8s.io)."""
    if not isinstance(plugin, dict) or not plugin.get("command") or not plugin.get("apiVersion"):
        raise LoginError(
            "its exec needs a command and an apiVersion, such as client.authentication.k8s.io/v1"
        )
    command = [str(plugin["command"]), *map(_text, plugin.get("args") or [])]
    try:
        variables = {str(item["name"]): _text(item["value"]) for item in plugin.get("env") or []}
    except (TypeError, KeyError) as error:
        raise LoginError("the env of its exec is a list of entries with name and value") from error
    about: Object = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        about["cluster"] = {key: cluster[key] for key in OF_THE_CLUSTER if key in cluster}
    asked = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": about}
    environment = {**os.environ, **variables, "KUBERNETES_EXEC_INFO": json.dumps(asked)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()
        raise LoginError(f"{command[0]}, which it asks for a login, gives none: {said[-1]}") from error
    try:
        status = json.loads(done.stdout)["status"]
        pair = {
            f"{theirs}-data": base64.b64encode(status[ours].encode()).decode()
            for ours, theirs in (
                ("clientCertificateData", "client-certificate"),
                ("clientKeyData", "client-key"),
            )
            if status.get(ours)
        }
        token = status.get("token")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoginError(
            f"{command[0]}, which it asks for a login, prints no ExecCredential with a status"
        ) from error
    if not token and not pair:
        raise LoginError(f"{command[0]}, which it asks for a login, prints neither token nor certificate")
    return {"token": token, **pair}


def _text(value: object) -> str:
    """Return a value as kubectl reads it where a text has to be."""
    return str(value).lower() if isinstance(value, bool) else str(value)
