"""The hub's configuration, made of the chart's values.

Later parts win: the chart's traits, secrets, hub.config, jupyterhub_config.d/*.py, hub.extraConfig.
"""

import os
import sys
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient
from traitlets.config import Config
from traitlets.config import get_config as current_config

HERE = Path(os.path.realpath(__file__)).parent
sys.path.insert(0, str(HERE))

from z2jh import get_config, get_secret_value, set_config_if_not_none  # noqa: E402 (beside this file)

c: Config = current_config()
RELEASE = get_config("Release.Name", "jupyterhub")


def configure_hub() -> None:
    """Where the hub listens, how it finds its proxy, what limits it keeps."""
    AsyncHTTPClient.configure("tornado.curl_httpclient.CurlAsyncHTTPClient")
    hub = c.JupyterHub
    hub.spawner_class = "kubespawner.KubeSpawner"
    hub.hub_bind_url = "http://:8081"
    hub.hub_connect_url = "http://hub:8081"
    c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
    c.ConfigurableHTTPProxy.should_start = False
    # Users' servers and their routes outlive the hub's pod.
    hub.cleanup_servers = False
    # The page that shows progress appears at once.
    hub.tornado_settings = {"slow_spawn_timeout": 0}
    hub.last_activity_interval = 60
    for trait, key in {
        "base_url": "baseUrl",
        "concurrent_spawn_limit": "concurrentSpawnLimit",
        "active_server_limit": "activeServerLimit",
        "allow_named_servers": "allowNamedServers",
        "named_server_limit_per_user": "namedServerLimitPerUser",
        "shutdown_on_logout": "shutdownOnLogout",
        "authenticate_prometheus": "authenticatePrometheus",
        "redirect_to_server": "redirectToServer",
        "template_paths": "templatePaths",
        "template_vars": "templateVars",
    }.items():
        set_config_if_not_none(hub, trait, f"hub.{key}")
    set_config_if_not_none(c.Spawner, "consecutive_failure_limit", "hub.consecutiveFailureLimit")
    if get_config("debug.enabled"):
        hub.log_level = "DEBUG"
        c.Spawner.debug = True


def configure_database() -> None:
    """On the volume, in memory, or wherever the URL says."""
    kind = get_config("hub.db.type")
    if kind == "sqlite-pvc":
        c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
    elif kind == "sqlite-memory":
        c.JupyterHub.db_url = "sqlite://"
    else:
        set_config_if_not_none(c.JupyterHub, "db_url", "hub.db.url")


def configure_servers() -> None:
    """What a user's pod looks like."""
    spawner = c.KubeSpawner
    spawner.namespace = os.environ.get("POD_NAMESPACE", "default")
    image, tag = get_config("singleuser.image.name"), get_config("singleuser.image.tag")
    spawner.image = f"{image}:{tag}" if tag else image
    made = get_config("imagePullSecret.create") and get_config("imagePullSecret.automaticReferenceInjection")
    spawner.image_pull_secrets = [
        *(["image-pull-secret"] if made else []),
        *get_config("imagePullSecrets", []),
        *get_config("singleuser.image.pullSecrets", []),
    ]
    for trait, key in {
        "pod_name_template": "podNameTemplate",
        "image_pull_policy": "image.pullPolicy",
        "cmd": "cmd",
        "default_url": "defaultUrl",
        "start_timeout": "startTimeout",
        "profile_list": "profileList",
        "uid": "uid",
        "fs_gid": "fsGid",
        "service_account": "serviceAccountName",
        "allow_privilege_escalation": "allowPrivilegeEscalation",
        "events_enabled": "events",
        "environment": "extraEnv",
        "extra_annotations": "extraAnnotations",
        "extra_pod_config": "extraPodConfig",
        "extra_resource_limits": "extraResource.limits",
        "extra_resource_guarantees": "extraResource.guarantees",
        "tolerations": "extraTolerations",
        "node_selector": "nodeSelector",
        "init_containers": "initContainers",
        "lifecycle_hooks": "lifecycleHooks",
        "mem_limit": "memory.limit",
        "mem_guarantee": "memory.guarantee",
        "cpu_limit": "cpu.limit",
        "cpu_guarantee": "cpu.guarantee",
        "storage_extra_labels": "storage.extraLabels",
    }.items():
        set_config_if_not_none(spawner, trait, f"singleuser.{key}")
    spawner.common_labels = {
        "app": "jupyterhub",
        "release": RELEASE,
        "heritage": "jupyterhub",
        "chart": get_config("Chart.Name"),
        "app.kubernetes.io/name": "jupyterhub",
        "app.kubernetes.io/instance": RELEASE,
        "app.kubernetes.io/managed-by": "kubespawner",
    }
    spawner.extra_labels = get_config("singleuser.extraLabels", {})


def configure_storage() -> None:
    """The user's home and what else is mounted."""
    spawner = c.KubeSpawner
    kind = get_config("singleuser.storage.type")
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    if kind == "dynamic":
        spawner.storage_pvc_ensure = True
        for trait, key in {
            "pvc_name_template": "dynamic.pvcNameTemplate",
            "storage_class": "dynamic.storageClass",
            "storage_access_modes": "dynamic.storageAccessModes",
            "storage_capacity": "capacity",
        }.items():
            set_config_if_not_none(spawner, trait, f"singleuser.storage.{key}")
        name = get_config("singleuser.storage.dynamic.volumeNameTemplate")
        volumes.append({"name": name, "persistentVolumeClaim": {"claimName": "{pvc_name}"}})
        mounts.append(home_mount(name, get_config("singleuser.storage.dynamic.subPath")))
    elif kind == "static":
        claim = get_config("singleuser.storage.static.pvcName")
        volumes.append({"name": "home", "persistentVolumeClaim": {"claimName": claim}})
        mounts.append(home_mount("home", get_config("singleuser.storage.static.subPath")))
    volumes += as_list(get_config("singleuser.storage.extraVolumes", []))
    mounts += as_list(get_config("singleuser.storage.extraVolumeMounts", []))
    add_extra_files(volumes, mounts)
    spawner.volumes = volumes
    spawner.volume_mounts = mounts


def home_mount(volume: str, sub_path: str | None) -> dict[str, Any]:
    """The mount of the home folder."""
    mount = {"name": volume, "mountPath": get_config("singleuser.storage.homeMountPath")}
    return {**mount, "subPath": sub_path} if sub_path else mount


def as_list(value: Any) -> list[dict[str, Any]]:
    """Upstream takes lists, and dictionaries whose keys only give an order."""
    return [value[key] for key in sorted(value)] if isinstance(value, dict) else list(value)


def add_extra_files(volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> None:
    """singleuser.extraFiles, from the Secret of that name."""
    files = get_config("singleuser.extraFiles", {})
    if not files:
        return
    items = [
        {"key": key, "path": key, **({"mode": file["mode"]} if file.get("mode") else {})}
        for key, file in sorted(files.items())
    ]
    volumes.append({"name": "files", "secret": {"secretName": "singleuser", "items": items}})
    mounts.extend(
        {"mountPath": file["mountPath"], "subPath": key, "name": "files"}
        for key, file in sorted(files.items())
    )


def configure_culler() -> None:
    """A service that stops servers nobody uses."""
    if not get_config("cull.enabled"):
        return
    command = [
        sys.executable,
        "-m",
        "jupyterhub_idle_culler",
        "--url=http://localhost:8081" + hub_path("hub/api"),
    ]
    for option, key in {
        "timeout": "timeout",
        "cull-every": "every",
        "concurrency": "concurrency",
        "max-age": "maxAge",
    }.items():
        value = get_config(f"cull.{key}")
        if value:
            command.append(f"--{option}={value}")
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    if get_config("cull.users"):
        command.append("--cull-users")
        scopes.append("admin:users")
    if get_config("cull.adminUsers") is False:
        command.append("--cull-admin-users=false")
        scopes.append("read:users")
    if get_config("cull.removeNamedServers"):
        command.append("--remove-named-servers")
    name = "jupyterhub-idle-culler"
    c.JupyterHub.services.append({"name": name, "command": command})
    c.JupyterHub.load_roles.append({"name": name, "scopes": scopes, "services": [name]})


def hub_path(path: str) -> str:
    """A path below the hub's base URL."""
    return f"{get_config('hub.baseUrl', '/').rstrip('/')}/{path}"


def configure_services() -> None:
    """hub.services and hub.loadRoles: dictionaries whose keys are the names."""
    for key, service in get_config("hub.services", {}).items():
        wanted = {"name": key, **{k: v for k, v in service.items() if k not in ("apiToken", "api_token")}}
        wanted["api_token"] = get_secret_value(f"hub.services.{wanted['name']}.apiToken")
        c.JupyterHub.services.append(wanted)
    for key, role in get_config("hub.loadRoles", {}).items():
        c.JupyterHub.load_roles.append({"name": key, **role})


def configure_secrets() -> None:
    """The secrets that the chart keeps; the proxy's token comes as CONFIGPROXY_AUTH_TOKEN."""
    c.JupyterHub.cookie_secret = bytes.fromhex(get_secret_value("hub.config.JupyterHub.cookie_secret") or "")
    c.CryptKeeper.keys = (get_secret_value("hub.config.CryptKeeper.keys") or "").split(";")


def configure_pass_through() -> None:
    """hub.config.<Class>.<trait>, as it stands."""
    kept = {"JupyterHub": {"cookie_secret"}, "ConfigurableHTTPProxy": {"auth_token"}, "CryptKeeper": {"keys"}}
    for section, traits in get_config("hub.config", {}).items():
        if section[:1].islower():
            sys.exit(
                f"hub.config.{section}: must be a class, such as JupyterHub; it starts with a small letter"
            )
        c[section].update({k: v for k, v in (traits or {}).items() if k not in kept.get(section, ())})


c.JupyterHub.services = []
c.JupyterHub.load_roles = []
configure_hub()
configure_database()
configure_servers()
configure_storage()
configure_culler()
configure_services()
configure_secrets()
configure_pass_through()

for part in sorted((HERE / "jupyterhub_config.d").glob("*.py")):
    load_subconfig(str(part))  # type: ignore[name-defined]  # noqa: F821 (traitlets puts it here)

for name, snippet in sorted(get_config("hub.extraConfig", {}).items()):
    print(f"Loading hub.extraConfig.{name}", file=sys.stderr)
    exec(compile(snippet, f"hub.extraConfig.{name}", "exec"), globals())
