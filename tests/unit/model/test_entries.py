"""Entries of model_models: their defaults, the chart's values, and the Jobs that they need."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible.module_utils.metalworks.model.entries import DEFAULTS, complete
from plugins.filter.mlflow import mlflow_programs_of_parts
from plugins.filter.model import model_entries, model_jobs

SPECS = Path(__file__).resolve().parents[3] / "roles" / "model" / "meta" / "argument_specs.yml"


def test_the_defaults_are_those_of_the_specification() -> None:
    options = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]["model_models"][
        "options"
    ]
    assert set(DEFAULTS) == set(options)
    written = {name: option["default"] for name, option in options.items() if "default" in option}
    assert {name: DEFAULTS[name] for name in written} == written


def test_an_entry_of_a_few_lines_is_complete() -> None:
    (found,) = model_entries([{"name": "mine", "version": 3, "replicas": 7, "kind": None}])
    assert (found["kind"], found["version"], found["replicas"], found["maxReplicas"]) == ("", "3", 7, 7)
    assert found["service"] == {"type": "ClusterIP", "nodePort": None}
    assert complete({"name": "a"})["settings"] == {}


def test_only_what_is_trained_here_needs_jobs() -> None:
    reco, mine = {"name": "reco", "kind": "recommender"}, {"name": "mine"}
    assert model_jobs([reco, mine]) == ["ingest-invoices", "reco-train"]
    assert model_jobs([reco], shop=True) == ["ingest-invoices", "ingest-shop", "reco-train"]
    assert model_jobs([mine], shop=True) == []


def test_only_the_trainer_decides() -> None:
    assert mlflow_programs_of_parts("deployers", ["mlflow"]) == []
    assert mlflow_programs_of_parts("leads", ["mlflow", "model"]) == [
        {"name": "model-trainer", "groups": ["leads"]},
        {"name": "model-server", "groups": []},
    ]
