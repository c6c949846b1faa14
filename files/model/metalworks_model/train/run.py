"""Train a candidate, judge it, publish it, and let the champion's alias point to it if it is better."""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
from pathlib import Path

import fsspec
import msgspec
import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from ..data.ingest import DayStore
from ..data.objects import write as write_object
from ..data.prepare import Purchases, clean, purchases
from ..evaluate.gate import Decision, decide, readable
from ..models.artifact import code_digest
from ..models.registry import open_registry
from ..settings import Settings
from . import ease
from .fit import names_of, write
from .release import champion_of, release

log = logging.getLogger(__name__)
SOURCES = ("invoices", "shop")


class NothingToLearn(ValueError):
    """No day with a purchase was ingested."""


class State(msgspec.Struct, frozen=True):
    """What is kept of a fit beside its inverse, so that the next day can be added to it."""

    parameters: ease.Parameters
    reference: int
    last_day: int
    digest: str
    code: str
    inverse: str
    """SHA-256 of the inverse's file."""


def parameters_of(settings: Settings) -> ease.Parameters:
    """Return the parameters that the settings ask for."""
    names = ease.Parameters.__struct_fields__
    return ease.Parameters(**{name: getattr(settings, name) for name in names if hasattr(settings, name)})


def read_lines(settings: Settings) -> pa.Table:
    """Return the clean lines of all sources. NothingToLearn if there are none."""
    lines = pa.concat_tables([clean(DayStore(settings.data_url, source).lines()) for source in SOURCES])
    if not len(lines):
        raise NothingToLearn(f"{settings.data_url} has no day with a purchase: ingest invoices first")
    return lines


class StateStore:
    """The last fit, below the URL of the data."""

    def __init__(self, settings: Settings) -> None:
        """Open it; nothing is read yet."""
        self.files, root = fsspec.core.url_to_fs(settings.data_url)
        self.root = f"{root.rstrip('/')}/fits/{settings.model}"

    def read(self, code: str) -> ease.Ease | None:
        """Return the last fit, or None if there is none that this code made."""
        try:
            state = msgspec.json.decode(self.files.cat_file(f"{self.root}/state.json"), type=State)
            if state.code != code:
                return None
            content = self.files.cat_file(f"{self.root}/{state.digest}.npy")
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        if hashlib.sha256(content).hexdigest() != state.inverse:
            log.warning("the kept fit is not what was written: its SHA-256 differs")
            return None
        inverse = np.load(io.BytesIO(content), allow_pickle=False)
        return ease.Ease(state.parameters, inverse, state.reference, state.last_day, state.digest)

    def write(self, model: ease.Ease, code: str) -> None:
        """Keep a fit: the inverse first, then what points to it."""
        sink = io.BytesIO()
        np.save(sink, model.inverse, allow_pickle=False)
        content = sink.getvalue()
        write_object(self.files, f"{self.root}/{model.digest}.npy", content)
        inverse = hashlib.sha256(content).hexdigest()
        state = State(model.parameters, model.reference, model.last_day, model.digest, code, inverse)
        write_object(self.files, f"{self.root}/state.json", msgspec.json.encode(state))
        for path in self.files.ls(self.root, detail=False, refresh=True):
            if str(path).endswith(".npy") and not str(path).endswith(f"/{model.digest}.npy"):
                self.files.rm_file(path)


def fit(
    bought: Purchases, parameters: ease.Parameters, before: ease.Ease | None, settings: Settings
) -> tuple[ease.Ease, str]:
    """Fit on all purchases, by a day's update where that is possible; return also how and why.

    With the address of a Dask scheduler, a full fit uses its workers, and waits for them.
    """
    reason = ease.can_update(before, bought, parameters) if before else "there is no earlier fit"
    if before and not reason:
        # The gate judges recipes, each fitted anew: so what an update gives is compared with its data.
        if ease.holds(updated := ease.update(before, bought), bought):
            return updated, f"by an update of the fit up to day {before.last_day}"
        reason = "the updated fit is not that of its data"
    if settings.dask_scheduler:
        from . import sharded, workers

        with workers.client(settings) as client:
            found = len(client.scheduler_info()["workers"])
            return sharded.fit(client, bought, parameters), f"anew on {found} workers, because {reason}"
    return ease.fit(bought, parameters), f"anew, because {reason}"


def train(settings: Settings, promote: bool = True) -> tuple[str, Decision]:
    """Train, judge, publish; return the version and the decision. With `promote` false no alias moves.

    NothingToLearn and RegistryProblem say what is missing; nothing was published then.
    """
    registry = open_registry(settings.registry_url, settings.registry_token_file)
    code, parameters, states = code_digest(), parameters_of(settings), StateStore(settings)
    with threadpool_limits(settings.threads, user_api="blas"):
        lines = read_lines(settings)
        bought = purchases(lines)
        model, way = fit(bought, parameters, states.read(code), settings)
        log.info("fitted %s on %d purchases", way, len(bought))
        champion = champion_of(settings, registry)
        decision = decide(bought, parameters, settings.judged_days, code, champion, way)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "model"
            write(folder, bought, model, names_of(bought.items, lines))
            (folder / "decision.json").write_bytes(msgspec.json.format(msgspec.json.encode(decision)))
            (folder / "decision.md").write_text(readable(decision))
            states.write(model, code)
            version = release(settings, registry, folder, champion, decision.promoted, decision.reasons,
                              _tags(decision), _metrics(decision), promote)  # fmt: skip
    log.info("version %s:\n%s", version, readable(decision))
    return version, decision


def _tags(decision: Decision) -> dict[str, str]:
    return {
        **{f"ndcg.{task}": repr(models["candidate"].ndcg.mean) for task, models in decision.figures.items()},
        "judged": f"{decision.judged_from} to {decision.judged_until}",
    }


def _metrics(decision: Decision) -> dict[str, float]:
    found = {}
    for task, models in decision.figures.items():
        for name, each in models.items():
            prefix = f"{task}.{name.replace(' ', '_')}"
            found[f"{prefix}.ndcg"] = each.ndcg.mean
            found[f"{prefix}.recall"] = each.recall.mean
            found[f"{prefix}.hit_rate"] = each.hit_rate.mean
            found[f"{prefix}.coverage"] = each.coverage
    return found
