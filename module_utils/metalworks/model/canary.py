"""Whether a version may become the candidate, which answers a share of the customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .entries import complete

MOST = 0.5


def canary_problem(
    entry: Mapping[str, Any], share: Any, version: str = "", aliases: Mapping[str, str] | None = None
) -> str:
    """Return why a canary cannot begin, as a sentence; empty if it can.

    `entry` is one of model_models. `version` and `aliases` are what MLflow has; None where it was not asked
    yet.
    """
    its = complete(entry)
    name = its["name"]
    if not its["kind"]:
        return (
            f"{name} has no kind, so nothing watches it that could judge a candidate: use promote_model.yml"
        )
    try:
        number = float(share)
    except (TypeError, ValueError):
        number = 0.0
    # Also false for what is no number.
    if not 0 < number <= MOST:
        return f"model_canary_share is {share}: write a number above 0, and at most {MOST}"
    if aliases is None:
        return ""
    champion, candidate = aliases.get(its["alias"], ""), aliases.get("candidate", "")
    if not champion:
        return f"{name} has no champion to be compared with: use promote_model.yml"
    if candidate:
        return (
            f"version {candidate} of {name} is the candidate already: wait until it is decided, or take it "
            "back by end_canary_model.yml"
        )
    if version == champion:
        return f"version {version} of {name} is the champion: name another one (model_to_version)"
    return ""
