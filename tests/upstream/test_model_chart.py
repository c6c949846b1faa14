"""The chart of the models, as helm makes objects of the role's values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.monitoring.parts import monitors_of
from tests.support.charts import Objects, rendered
from tests.support.roles import resolved

CHART = Path(__file__).resolve().parents[2] / "files" / "model" / "chart"
INPUTS: dict[str, Any] = {
    "container_images_references": {"model": "example.test/model:1"},
    "metalworks_parts": ["jupyterhub", "object_store", "mlflow", "door", "model"],
    "jupyterhub_namespace": "jupyterhub",
    "mlflow_namespace": "mlflow",
    "object_store_endpoint": "http://object-store.object-store.svc.cluster.local:7070",
    "model_logged": {},
    "groups": {},
    "hostvars": {},
    "__model_tokens": {
        "trainer": "token-of-the-trainer",
        "watch": "token-of-the-watch",
        "server": "token-of-the-server",
    },
}


def render(**given: Any) -> Objects:
    """Return the chart's objects for these inputs of the role."""
    return rendered("model", resolved("model", "__model_values", **{**INPUTS, **given}), CHART)


def pods(objects: Objects) -> Iterator[dict[str, Any]]:
    """The specifications of all pods."""
    for (kind, _), each in objects.items():
        if kind == "Deployment":
            yield each["spec"]["template"]["spec"]
        if kind == "CronJob":
            yield each["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_all_pods_are_restricted_and_only_the_watch_has_a_token_of_kubernetes() -> None:
    found = list(pods(render()))
    assert len(found) == 6
    for spec in found:
        (container,) = spec["containers"]
        assert spec["automountServiceAccountToken"] is (container["name"] == "watch")
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["requests"] and container["resources"]["limits"]
        assert "token-of" not in str(spec)


def test_servers_have_no_key_of_the_store_and_each_program_has_its_own_token() -> None:
    objects = render()
    server = str(objects["Deployment", "recommender"])
    assert "AWS_" not in server and "'key': 'server'" in server
    train = str(objects["CronJob", "recommender-train"])
    assert "AWS_SECRET_ACCESS_KEY" in train and "'key': 'trainer'" in train
    assert "model-registry" not in str(objects["CronJob", "ingest-invoices"])
    assert set(objects["Secret", "model-registry"]["stringData"]) == {"trainer", "watch", "server"}


def test_workers_of_a_training_are_pods_of_its_job_and_only_talk_to_each_other() -> None:
    alone = render()
    assert ("Service", "training") not in alone and ("NetworkPolicy", "training") not in alone
    models = [{"name": "recommender", "kind": "recommender", "training_workers": 2}]
    objects = render(model_models=models)
    job = objects["CronJob", "recommender-train"]["spec"]["jobTemplate"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 3, 3)
    assert job["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}
    service = objects["Service", "training"]
    assert (
        service["spec"]["clusterIP"] == "None"
        and service["metadata"]["name"] == job["template"]["spec"]["subdomain"]
    )
    policy = objects["NetworkPolicy", "training"]["spec"]
    training = {"podSelector": {"matchLabels": service["spec"]["selector"]}}
    assert policy["ingress"] == [{"from": [training]}] and policy["egress"] == [{"to": [training]}]
    assert service["spec"]["selector"].items() <= job["template"]["metadata"]["labels"].items()


def test_settings_reach_the_programs_as_they_were_written() -> None:
    given = {"body_bound": 2_000_000, "drift_bound": 1e-06, "access_log": False, "half_life": 80}
    entry = {"name": "recommender", "kind": "recommender", "settings": given}
    data = render(model_models=[entry])["ConfigMap", "recommender"]["data"]
    shown = {name: data[f"METALWORKS_MODEL_{name.upper()}"] for name in given}
    assert shown == {
        "body_bound": "2000000",
        "drift_bound": "0.000001",
        "access_log": "false",
        "half_life": "80",
    }


def test_the_bounds_of_days_reach_each_ingestion() -> None:
    objects = render(model_quarantine_bound=0.2, model_volume_bound=50)
    for name in ("ingest-invoices", "ingest-shop"):
        template = objects["CronJob", name]["spec"]["jobTemplate"]["spec"]["template"]
        found = {each["name"]: each.get("value") for each in template["spec"]["containers"][0]["env"]}
        bounds = [found[f"METALWORKS_MODEL_{each}_BOUND"] for each in ("QUARANTINE", "VOLUME")]
        assert bounds == ["0.2", "50.0"]


def test_the_cache_has_the_size_that_the_entry_says() -> None:
    def size(**entry: str) -> str:
        objects = render(model_models=[{"name": "recommender", "kind": "recommender", **entry}])
        volumes = objects["Deployment", "recommender"]["spec"]["template"]["spec"]["volumes"]
        (found,) = (each["emptyDir"]["sizeLimit"] for each in volumes if each["name"] == "cache")
        return str(found)

    assert (size(), size(cache="5Gi")) == ("2Gi", "5Gi")


def test_the_watch_asks_each_server_what_it_counted() -> None:
    objects = render()
    (container,) = objects["Deployment", "recommender-watch"]["spec"]["template"]["spec"]["containers"]
    url = {"name": "METALWORKS_MODEL_SERVERS_URL", "value": "http://recommender-servers:8080"}
    assert url in container["env"]
    # It says which inputs the model uses.
    assert {"name": "METALWORKS_MODEL_KIND", "value": "recommender"} in container["env"]
    service = objects["Service", "recommender-servers"]["spec"]
    assert service["clusterIP"] == "None"
    pod = objects["Deployment", "recommender"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= pod.items()
    peer = {"podSelector": {"matchLabels": {"metalworks.io/model-watch": "true"}}}
    assert peer in objects["NetworkPolicy", "servers"]["spec"]["ingress"][0]["from"]
    server = {"podSelector": {"matchLabels": {"metalworks.io/model-server": "true"}}}
    assert {"ports": [{"port": 8080}], "to": [server]} in objects["NetworkPolicy", "watches"]["spec"][
        "egress"
    ]


def test_another_setting_version_or_token_rolls_the_servers() -> None:
    def marks(**given: Any) -> dict[str, str]:
        found = render(**given)["Deployment", "recommender"]
        return found["spec"]["template"]["metadata"]["annotations"]

    before = marks()
    entry = {"name": "recommender", "kind": "recommender", "settings": {"queue": 64}}
    assert marks(model_models=[entry])["checksum/settings"] != before["checksum/settings"]
    assert marks(model_version="3")["checksum/settings"] != before["checksum/settings"]
    tokens = {"trainer": "a", "watch": "c", "server": "b"}
    assert marks(__model_tokens=tokens)["checksum/registry"] != before["checksum/registry"]
    assert marks(model_tolerations=[{"key": "a"}]) == before


@pytest.mark.parametrize(
    ("entry", "least", "most"),
    [({}, 3, 5), ({"replicas": 5}, 5, 5), ({"replicas": 7}, 7, 7), ({"max_replicas": 9}, 3, 9)],
)
def test_the_autoscaler_stays_where_the_number_is_fixed(entry: dict[str, int], least: int, most: int) -> None:
    objects = render(model_models=[{"name": "recommender", "kind": "recommender", **entry}])
    scaler = objects["HorizontalPodAutoscaler", "recommender"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (least, most)
    assert objects["Deployment", "recommender"]["spec"]["replicas"] == least


def test_a_model_of_somebody_else_is_only_served() -> None:
    objects = render(
        model_models=[
            {"name": "mine", "replicas": 2, "max_replicas": 2, "service_type": "NodePort", "node_port": 30123}
        ],
        model_shop=False,
        model_logged={"mine": {"version": "4", "missing": ""}},
    )
    kinds = [kind for kind, _ in objects]
    assert "CronJob" not in kinds
    assert "Role" not in kinds
    assert [name for kind, name in objects if kind == "Deployment"] == ["mine"]
    assert "PersistentVolumeClaim" not in kinds
    assert objects["Service", "mine"]["spec"]["ports"][0]["nodePort"] == 30123
    assert objects["NetworkPolicy", "mine-published"]["spec"]["ingress"] == [{"ports": [{"port": 8080}]}]


def test_a_model_of_somebody_else_has_an_image_an_alias_and_a_version_to_fall_back_to() -> None:
    its = {"name": "mine", "alias": "production"}
    references = {"model": "example.test/model:1", "served-mine": "example.test/served-mine:1"}
    given = {
        "model_models": [{"name": "recommender", "kind": "recommender"}, its, {"name": "unknown"}],
        "model_logged": {
            "mine": {"version": "4", "missing": ""},
            "unknown": {"version": "", "missing": "none"},
        },
        "container_images_references": references,
    }
    objects = render(**given)
    assert ("Deployment", "unknown") not in objects
    images = {
        name: objects["Deployment", name]["spec"]["template"]["spec"]["containers"][0]["image"]
        for name in ("recommender", "mine", "shop")
    }
    assert images == {
        "recommender": references["model"],
        "mine": references["served-mine"],
        "shop": references["model"],
    }
    settings = objects["ConfigMap", "mine"]["data"]
    assert settings["METALWORKS_MODEL_CHAMPION"] == "production"
    assert settings["METALWORKS_MODEL_FALLBACK_VERSION"] == "4"
    assert "METALWORKS_MODEL_FALLBACK_VERSION" not in objects["ConfigMap", "recommender"]["data"]
    # Its owner may set every alias but the protected one, so only that one is followed.
    assert settings["METALWORKS_MODEL_CANDIDATE"] == ""
    assert "METALWORKS_MODEL_CANDIDATE" not in objects["ConfigMap", "recommender"]["data"]
    spec = objects["Deployment", "mine"]["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "model-server" and spec["automountServiceAccountToken"] is False
    assert "AWS_" not in str(spec)
    assert {"name": "HOME", "value": "/tmp"} in spec["containers"][0]["env"]


def test_the_source_is_reached_and_nothing_is_where_none_is_needed() -> None:
    assert ("NetworkPolicy", "ingest-invoices") not in render()
    objects = render(model_source="https://a.example/{day}.csv", model_source_first="2010-12-01")
    egress = objects["NetworkPolicy", "ingest-invoices"]["spec"]["egress"]
    assert egress == [{"ports": [{"port": 443}]}]
    (container,) = objects["CronJob", "ingest-invoices"]["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["args"] == ["ingest", "--first", "2010-12-01"]


# What watches a model.


def test_the_watch_may_start_the_training_of_its_model_and_nothing_else() -> None:
    objects = render()
    assert objects["Role", "recommender-watch"]["rules"] == [
        {
            "apiGroups": ["batch"],
            "resources": ["cronjobs"],
            "resourceNames": ["recommender-train"],
            "verbs": ["get"],
        },
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]
    assert not [kind for kind, _ in objects if kind.startswith("ClusterRole")]
    binding = objects["RoleBinding", "recommender-watch"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "recommender-watch", "namespace": "model"}
    ]
    watch = objects["Deployment", "recommender-watch"]["spec"]
    assert watch["strategy"] == {"type": "Recreate"}
    assert watch["template"]["spec"]["serviceAccountName"] == "recommender-watch"
    assert "'key': 'watch'" in str(watch) and "'key': 'trainer'" not in str(watch)
    assert environment(watch)["METALWORKS_MODEL_RETRAIN_CRONJOB"] == "recommender-train"
    assert ("CronJob", "recommender-train") in objects


def test_without_retraining_by_drift_the_watch_has_no_rights_and_no_way_to_kubernetes() -> None:
    def ways(objects: Objects) -> set[int]:
        """The ports of the watch's egress."""
        rules = objects["NetworkPolicy", "watches"]["spec"]["egress"] or []
        return {port["port"] for rule in rules for port in rule["ports"]}

    assert ways(render()) == {443, 6443, 8080, 8081}
    objects = render(model_drift_retraining=False)
    assert ways(objects) == {8080, 8081}
    assert not [kind for kind, _ in objects if kind in ("Role", "RoleBinding")]
    watch = objects["Deployment", "recommender-watch"]["spec"]
    assert watch["template"]["spec"]["automountServiceAccountToken"] is False
    assert "METALWORKS_MODEL_RETRAIN_CRONJOB" not in environment(watch)


def test_each_trained_model_is_watched_and_the_one_of_the_shop_by_its_sales() -> None:
    models = [
        {"name": "recommender", "kind": "recommender"},
        {"name": "unusual", "kind": "anomalies"},
        {"name": "mine"},
    ]
    objects = render(model_models=models)
    watches = [name for kind, name in objects if kind == "Deployment" and name.endswith("-watch")]
    assert sorted(watches) == ["recommender-watch", "unusual-watch"]
    url = "METALWORKS_MODEL_SHOWINGS_URL"
    shown = environment(objects["Deployment", "recommender-watch"]["spec"])
    assert shown[url] == "http://shop:8081/showings/{day}.jsonl"
    assert url not in environment(objects["Deployment", "unusual-watch"]["spec"])


def environment(spec: dict[str, Any]) -> dict[str, Any]:
    """The variables of a Deployment's container that have a value."""
    (container,) = spec["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") for each in container["env"]}


def test_what_prometheus_looks_for_is_there_and_lets_it_in() -> None:
    objects = render(model_metrics_namespaces=["monitoring"])
    found = monitors_of(["model"], "PodMonitor", {"model": "model"}, {})
    assert {each["name"] for each in found} == {"model-server", "model-watch", "shop"}
    for monitor in found:
        labels = monitor["selector"]["matchLabels"].items()
        chosen = [
            each["spec"]["template"]
            for (kind, _), each in objects.items()
            if kind == "Deployment" and labels <= each["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert len(chosen) == 1, monitor["name"]
        (container,) = chosen[0]["spec"]["containers"]
        (endpoint,) = monitor["podMetricsEndpoints"]
        (port,) = (each["containerPort"] for each in container["ports"] if each["name"] == endpoint["port"])
        assert "monitoring" in let_in(objects, chosen[0]["metadata"]["labels"], port), monitor["name"]


def let_in(objects: Objects, labels: dict[str, str], port: int) -> set[str]:
    """The namespaces whose pods reach a port of the pods with these labels."""
    return {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for (kind, _), policy in objects.items()
        if kind == "NetworkPolicy"
        and (policy["spec"]["podSelector"].get("matchLabels") or {}).items() <= labels.items()
        for rule in policy["spec"].get("ingress") or []
        if {"port": port} in rule["ports"]
        for peer in rule["from"]
        if "namespaceSelector" in peer
    }
