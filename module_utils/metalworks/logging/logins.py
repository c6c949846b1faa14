"""Who may do what with the store of logs: the configuration of vmauth, and the address for journals."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

STORE = "http://127.0.0.1:9428"
READER, WRITER = "reader", "writer"
READS, WRITES = ["/select/.*"], ["/insert/.*"]
# The page's entry shows links to what can be read, and nothing of the logs. Its path is `/`, of which vmauth
# makes an empty one before it compares (normalizeURL of app/vmauth/target_url.go).
PAGE = ["/?", *READS]
DOOR = "X-Metalworks-Door"
# All lines of one unit on one machine are a stream, which the store keeps together. What repeats in each
# entry, or may hold secrets (the command lines of programs), is left out.
STREAM = ("_HOSTNAME", "_SYSTEMD_UNIT")
IGNORED = ("_CMDLINE", "_BOOT_ID", "_MACHINE_ID", "_SYSTEMD_INVOCATION_ID")
NODE = "kubernetes.pod_node_name"


def logins(reader_password: str, writer_password: str, door_secret: str) -> str:
    """Return vmauth's configuration, as JSON, which it reads as YAML.

    The door has no login: it says who it is by its secret, and may only read.
    """

    def user(name: str, password: str, paths: list[str]) -> dict[str, Any]:
        return {
            "username": name,
            "password": password,
            "url_map": [{"src_paths": paths, "url_prefix": STORE}],
        }

    door = {"src_paths": PAGE, "src_headers": [f"{DOOR}: {door_secret}"], "url_prefix": STORE}
    return json.dumps(
        {
            "users": [user(READER, reader_password, READS), user(WRITER, writer_password, WRITES)],
            "unauthorized_user": {"url_map": [door]},
        },
        indent=2,
    )


def journal_url(address: str, username: str, password: str, node: str) -> str:
    """Return the URL to which systemd-journal-upload sends a node's journal.

    It writes `/upload` behind the URL, which the `#` swallows; without a port it would write another one
    behind the path (systemd 252, src/journal-remote/journal-upload.c).
    """
    login = f"{quote(username, safe='')}:{quote(password, safe='')}"
    fields = {
        "_stream_fields": ",".join(STREAM),
        "ignore_fields": ",".join(IGNORED),
        "extra_fields": f"{NODE}={node}",
    }
    query = "&".join(f"{key}={quote(value, safe=',=')}" for key, value in fields.items())
    return f"http://{login}@{address}/insert/journald/upload?{query}#"
