"""Entries of model_models: their defaults, the chart's values, and the Jobs that they need."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible.module_utils.metalworks.model.entries import DEFAULTS, complete
from plugins.filter.mlflow import mlflow_programs_of_parts
from plugins.filter.model import logged_images, logged_models, model_entries, model_jobs, results_by_model
from tests.support.roles import resolved

ROOT = Path(__file__).resolve().parents[3]
# What the role's values are made of beside its own defaults.
EGRESS = {
    "container_images_references": {"model": "example.test/model:1"},
    "metalworks_parts": ["model"],
    "jupyterhub_namespace": "jupyterhub",
    "mlflow_namespace": "mlflow",
    "object_store_endpoint": "http://object-store.object-store.svc.cluster.local:7070",
    "model_logged": {},
    "__model_tokens": {},
}
SPECS = ROOT / "roles" / "model" / "meta" / "argument_specs.yml"


def test_the_defaults_are_those_of_the_specification() -> None:
    options = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]["model_models"][
        "options"
    ]
    assert set(DEFAULTS) == set(options)
    written = {name: option["default"] for name, option in options.items() if "default" in option}
    assert {name: DEFAULTS[name] for name in written} == written


def test_an_entry_of_a_few_lines_is_complete() -> None:
    entry = {"name": "mine", "version": 3, "replicas": 7, "kind": None}
    (found,) = model_entries([entry], {"mine": {"version": "3"}}, {"served-mine": "a.example/served-mine:1"})
    assert (found["image"], found["alias"], found["builtFor"]) == ("a.example/served-mine:1", "champion", "3")
    assert (found["kind"], found["version"], found["replicas"], found["maxReplicas"]) == ("", "3", 7, 7)
    assert found["service"] == {"type": "ClusterIP", "nodePort": None}
    assert complete({"name": "a"})["settings"] == {}


def test_what_nobody_has_logged_yet_is_left_out() -> None:
    models = [{"name": "reco", "kind": "recommender"}, {"name": "mine"}, {"name": "unknown"}]
    found = model_entries(models, {"mine": {"version": ""}}, {})
    assert [(each["name"], each["image"], each["builtFor"]) for each in found] == [("reco", "", "")]
    assert [each["name"] for each in logged_models(models)] == ["mine", "unknown"]


def test_each_model_of_others_has_an_image_of_its_own() -> None:
    logged = {
        "mine": {"recorded": ["mlflow==3", "a==1"], "requirements": ["mlflow-skinny==3", "a==1", "pandas"]},
        "of-the-package": {"recorded": [], "requirements": []},
        "not-there": {"recorded": [], "requirements": []},
    }
    (found,) = logged_images(logged, "metalworks.local/model:1", "3.11")
    assert (found["name"], found["base"]) == ("served-mine", "metalworks.local/model:1")
    assert (ROOT / found["context"] / "Dockerfile").is_file()
    assert found["arguments"] == {
        "PYTHON": "3.11",
        "RECORDED": "mlflow==3\na==1",
        "REQUIREMENTS": "mlflow-skinny==3\na==1\npandas",
    }


def test_the_images_python_is_the_one_that_the_role_compares_with() -> None:
    variables = yaml.safe_load((ROOT / "roles" / "model" / "vars" / "main.yml").read_text())
    catalogue = yaml.safe_load((ROOT / "artifacts.yml").read_text())["artifacts"]
    version = catalogue["base-image"]["upstream"]["version"]
    assert version.startswith(f"{variables['__model_python']}-")


def test_only_what_is_trained_here_needs_jobs() -> None:
    reco, mine = {"name": "reco", "kind": "recommender"}, {"name": "mine"}
    assert model_jobs([reco, mine]) == ["ingest-invoices", "reco-train"]
    assert model_jobs([reco], shop=True) == ["ingest-invoices", "ingest-shop", "reco-train"]
    assert model_jobs([mine], shop=True) == []


def test_only_the_trainer_and_the_watch_decide() -> None:
    assert mlflow_programs_of_parts("deployers", ["mlflow"]) == []
    assert mlflow_programs_of_parts("leads", ["mlflow", "model"]) == [
        {"name": "model-trainer", "groups": ["leads"]},
        {"name": "model-watch", "groups": ["leads"]},
        {"name": "model-server", "groups": []},
    ]


def test_the_watch_reaches_the_api_at_the_ports_that_the_cluster_has() -> None:
    """A policy sees the port of the API server itself, which k3s's https-listen-port changes."""
    hosts = {"metal-1": {"ansible_host": "198.18.0.11", "k3s_server_config": {"https-listen-port": 7443}}}
    own = {"groups": {"k3s_server": ["metal-1"]}, "hostvars": hosts}
    found = resolved("model", "__model_values.egress.kubernetes", **EGRESS, **own)
    assert found == [{"port": 443}, {"port": 6443}, {"port": 7443}]
    others = {"groups": {}, "hostvars": {}, "metalworks_cluster": {"exists": True, "api_ports": [16443]}}
    found = resolved("model", "__model_values.egress.kubernetes", **EGRESS, **others)
    assert found == [{"port": 443}, {"port": 6443}, {"port": 16443}]


def test_results_of_a_loop_are_found_by_the_name_of_the_model() -> None:
    results = [{"item": {"name": name}, "version": name * 2} for name in ("a", "b")]
    assert results_by_model(results, "version") == {"a": "aa", "b": "bb"}
    assert results_by_model(results) == dict(zip("ab", results, strict=True))
