"""Decide when drift asks for a retraining, and ask Kubernetes for it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

# Two windows running: a single bad day does not retrain.
WINDOWS = 2
# A drift that was over the bound has passed when it is below this share of it.
CLEAR = 0.8
API = "https://kubernetes.default.svc"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class State(msgspec.Struct, frozen=True):
    """What is remembered: days over the bound in a row, the last day, the last retraining."""

    over: int = 0
    day: str = ""
    asked: float = 0.0
    """When a retraining was asked for last, in seconds since 1970."""


class Limits(msgspec.Struct, frozen=True):
    """The bound of the index, the fewest rows that count, and the seconds between two retrainings."""

    bound: float
    rows: int
    cool_down: float


def decide(
    state: State, day: str, largest: float, rows: int, limits: Limits, now: float
) -> tuple[State, bool, str]:
    """Return what to remember, whether to retrain, and why, as a sentence.

    A day counts once, however often it is looked at. Too few rows change nothing: they say nothing.
    """
    if rows < limits.rows:
        return state, False, f"{rows} rows say nothing about drift; {limits.rows} are needed."
    if day == state.day:
        return state, False, f"{day} was judged before."
    kept = state.over if largest > CLEAR * limits.bound else 0
    over = state.over + 1 if largest > limits.bound else kept
    found = State(over, day, state.asked)
    said = (
        f"The index is {largest:.3f} on {day}, the bound {limits.bound:g}; {over} days in a row were over it."
    )
    if over < WINDOWS or largest <= limits.bound:
        return found, False, said
    waited = now - state.asked
    if waited < limits.cool_down:
        return (
            found,
            False,
            f"{said} The last retraining was asked for {waited:.0f} s ago; the cool-down goes on.",
        )
    return State(0, day, now), True, f"{said} A retraining is asked for."


class JobProblem(RuntimeError):
    """Kubernetes did not make the Job."""


def start_job(
    cronjob: str, why: str, account: Path = ACCOUNT, transport: httpx.BaseTransport | None = None
) -> str:
    """Make a Job of a CronJob's template, as `kubectl create job --from` does, and return its name.

    The pod's service account needs `get` on this CronJob and `create` on Jobs. JobProblem if the API refuses.
    """
    try:
        namespace = (account / "namespace").read_text().strip()
        token = (account / "token").read_text().strip()
        context = ssl.create_default_context(cafile=str(account / "ca.crt"))
    except OSError as problem:
        raise JobProblem(f"this runs in no pod with a service account: {problem}") from None
    base = f"{API}/apis/batch/v1/namespaces/{namespace}"
    with httpx.Client(
        headers={"Authorization": f"Bearer {token}"}, verify=context, timeout=30, trust_env=False,
        transport=transport,
    ) as client:  # fmt: skip
        found = _ask(client, "GET", f"{base}/cronjobs/{cronjob}")
        name = f"{cronjob}-drift-{int(time.time())}"
        owner = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": cronjob,
            "uid": found["metadata"]["uid"],
            # So the CronJob's history has it, and it goes when the CronJob does. `Forbid` does not see it:
            # only Jobs that the controller made are in status.active (cronjob_controllerv2.go). Two trainings
            # at a time are wasteful and harmless; the written state keeps drift from asking again.
            "controller": True,
        }
        template = found["spec"]["jobTemplate"]
        metadata = template.get("metadata", {})
        annotations: Mapping[str, str] = metadata.get("annotations", {})
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "labels": metadata.get("labels", {}),
                "annotations": {
                    **annotations,
                    "cronjob.kubernetes.io/instantiate": "manual",
                    "metalworks/why": why,
                },
                "ownerReferences": [owner],
            },
            "spec": template["spec"],
        }
        _ask(client, "POST", f"{base}/jobs", job)
    return name


def _ask(client: httpx.Client, method: str, address: str, body: Any = None) -> Any:
    try:
        answer = client.request(method, address, json=body)
    except httpx.HTTPError as problem:
        raise JobProblem(f"Kubernetes does not answer: {problem}") from None
    if not answer.is_success:
        raise JobProblem(f"{method} {address}: {answer.status_code} {answer.text[:500]}")
    return answer.json()
