"""The hub's answers in the form that the module promises."""

from __future__ import annotations

from library.jupyterhub.jupyterhub_info import summarize


def test_summary_names_users_servers_and_routes() -> None:
    server = {
        "ready": True,
        "started": "2026-01-01",
        "url": "/user/ada/",
        "state": {"pod_name": "jupyter-ada"},
    }
    users = [
        {
            "name": "ada",
            "admin": True,
            "groups": ["gpu"],
            "last_activity": "2026-01-02",
            "servers": {"": server},
        },
        {"name": "grace", "admin": False, "groups": [], "last_activity": None, "servers": {}},
    ]
    routes = {"/user/ada/": {"target": "http://10.42.0.9:8888", "data": {}}}
    found = summarize({"version": "5.5.0", "authenticator": {"class": "hub_users.HubUsers"}}, users, routes)
    assert found == {
        "version": "5.5.0",
        "authenticator": "hub_users.HubUsers",
        "users": {
            "ada": {"admin": True, "groups": ["gpu"], "last_activity": "2026-01-02", "servers": [""]},
            "grace": {"admin": False, "groups": [], "last_activity": None, "servers": []},
        },
        "servers": {
            "ada/": {"ready": True, "started": "2026-01-01", "url": "/user/ada/", "pod": "jupyter-ada"}
        },
        "routes": {"/user/ada/": "http://10.42.0.9:8888"},
    }
