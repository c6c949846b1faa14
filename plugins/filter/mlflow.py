"""Filters of the role mlflow: who may connect to the server, and where it connects to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible finds a project's module_utils for what it sends to a node; filters run here and share them.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.mlflow.addresses import egress, is_outside
from ansible.module_utils.metalworks.model.programs import PROGRAMS

CLIENT = {"metalworks.io/mlflow-client": "true"}


def mlflow_clients(namespaces: Iterable[str]) -> list[dict[str, Any]]:
    """Return what the network policy lets in from these namespaces: pods that say they are clients."""
    return [{"namespace": name, "pods": dict(CLIENT)} for name in namespaces]


def mlflow_programs_of_parts(deployers: str, parts: Iterable[str]) -> list[dict[str, Any]]:
    """Return the programs of the parts. Of those of the model, trainer and watch decide what is served."""
    if "model" not in parts:
        return []
    return [{"name": name, "groups": [deployers] if decides else []} for name, decides in PROGRAMS.items()]


def mlflow_token_file(program: str, folder: str) -> str:
    """Return how the lookup `password` makes and finds the token of a program."""
    return f"{folder}/secrets/mlflow_program_{program} length=40 chars=ascii_letters,digits"


def mlflow_tokens(programs: Sequence[Mapping[str, Any]], tokens: Sequence[str]) -> dict[str, str]:
    """Return each program's token, by the program's name."""
    return {program["name"]: token for program, token in zip(programs, tokens, strict=True)}


def mlflow_programs(programs: Iterable[Mapping[str, Any]], tokens: Mapping[str, str]) -> str:
    """Return the programs with their tokens in the form that the server reads."""
    found = {
        tokens[program["name"]]: {"name": program["name"], "groups": list(program.get("groups") or ())}
        for program in programs
    }
    return json.dumps(found, sort_keys=True)


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "mlflow_clients": mlflow_clients,
            "mlflow_database_is_outside": is_outside,
            "mlflow_egress": egress,
            "mlflow_programs": mlflow_programs,
            "mlflow_token_file": mlflow_token_file,
            "mlflow_tokens": mlflow_tokens,
            "mlflow_programs_of_parts": mlflow_programs_of_parts,
        }
