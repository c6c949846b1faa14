"""Decide whether a candidate takes the champion's place, and write down why.

Both are judged on the newest days, which neither may have seen. The candidate's recipe (its parameters)
learns from all days before them. The champion's recipe learns from fewer days: as many as it is older than
the candidate. So the comparison shows what a promotion would give today: newer data, other parameters, or
both.

Of other parameters more is asked, because newer data alone may hide that they are worse: the champion's
parameters learn from all days, too, and must not be clearly better there. Where only code or late rows
differ, which the comparison cannot show, the candidate must not be clearly worse.
"""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np
import numpy.typing as npt

from ..data.prepare import EPOCH, Ints, Purchases, Split, split
from ..models.artifact import Card
from ..models.recommender import Recommender
from ..models.recommender import Task as Asked
from ..train import baselines, ease
from ..train.fit import recommender
from .metrics import Estimate, Judgement, Question, Scorer, Scores, Summary, Task, bootstrap, judge, question

# A champion beats chance by so much that fewer customers than this cannot tell two models apart.
FEWEST = 30
# The champion's parameters, with the days that the candidate learns from.
RECIPE = "recipe of the champion"


class Comparison(msgspec.Struct, frozen=True):
    """A candidate beside another model in a task: the mean difference of NDCG@20 with its 95 % interval."""

    task: str
    other: str
    difference: Estimate
    needed: str
    """What the rule asks for, as a sentence."""
    passed: bool


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One readable record of why a candidate was promoted or not."""

    promoted: bool
    reasons: list[str]
    judged_from: str
    judged_until: str
    champion: str
    """Its version; empty where there was none."""
    champion_age_days: int
    candidate_parameters: ease.Parameters
    champion_parameters: ease.Parameters | None
    comparisons: list[Comparison]
    figures: dict[str, dict[str, Summary]]
    """By task, then by model."""
    data: str
    """SHA-256 of the purchases that the candidate learnt from."""
    code: str
    """SHA-256 of the package's source."""
    way: str = ""
    """How the candidate was fitted: anew, or by a day's update; and why."""


def served(model: Recommender, bought: Purchases, task: Task) -> Scorer:
    """Return the scores of a recommender exactly as it serves them."""
    asked = Asked(task.value)

    def scores(users: Ints) -> Scores:
        rows = np.zeros((len(users), len(bought.items)), np.float32)
        for row, user in zip(rows, users.tolist(), strict=True):
            found = model.scores(model.history(str(bought.users[user])), asked)
            row[: len(found)] = found
        return rows

    return scores


def _rivals(train: Purchases, task: Task) -> dict[str, Scorer]:
    popularity = baselines.popularity(train)
    rivals: dict[str, Scorer] = {"popularity": lambda users: np.tile(popularity, (len(users), 1))}
    if task is Task.AGAIN:
        own = baselines.counts(train)
        # Equal frequencies are ordered by popularity, which is far below 1 here.
        tie = popularity / (popularity.max() + 1) / 2

        def frequency(users: Ints) -> Scores:
            return np.asarray(own[users].toarray() + tie, np.float32)

        rivals["own frequency"] = frequency
    return rivals


def compare(task: Task, other: str, candidate: Judgement, rival: Judgement, same: bool = False) -> Comparison:
    """Compare two judgements of the same customers by their paired differences.

    Baselines have to be beaten beyond doubt (the whole interval above 0). The champion has to be beaten on
    new items on average, and must not be clearly better on repeats; nor on new items if its parameters and
    its days are the `same`, or if only its recipe is compared.
    """
    difference = bootstrap(candidate.ndcg - rival.ndcg)
    if other not in ("champion", RECIPE):
        return Comparison(task, other, difference, "the whole interval is above 0", difference.low > 0)
    if task is Task.NEW and other == "champion" and not same:
        return Comparison(task, other, difference, "the mean is above 0", difference.mean > 0)
    return Comparison(task, other, difference, "the interval is not below 0", difference.high >= 0)


def _fitted(train: Purchases, parameters: ease.Parameters) -> Recommender:
    part = train.compact()
    return recommender(part, ease.fit(part, parameters), part.items)


def decide(
    bought: Purchases,
    parameters: ease.Parameters,
    days: int,
    code: str,
    champion: tuple[str, Card] | None = None,
    way: str = "",
) -> Decision:
    """Judge a candidate's recipe on the last `days` days of its data.

    `champion` is its version and card. ValueError if the data do not reach back far enough.
    """
    its = msgspec.convert(champion[1].parameters, ease.Parameters) if champion else None
    last = EPOCH + dt.timedelta(bought.last_day)
    first = last - dt.timedelta(days - 1)
    parts = split(bought, first, last + dt.timedelta(1))
    age = max((last - dt.date.fromisoformat(champion[1].data_until)).days, 0) if champion else 0
    same = its == parameters and age == 0
    models = {"candidate": _fitted(parts.train, parameters)}
    if its:
        older = bought.before(first - dt.timedelta(age))
        if len(older):
            models["champion"] = _fitted(older, its)
        if its != parameters:
            models[RECIPE] = _fitted(parts.train, its)
    comparisons: list[Comparison] = []
    figures: dict[str, dict[str, Summary]] = {}
    for task in Task:
        judged = _judge_all(models, parts, task)
        figures[task] = {name: each.summary() for name, each in judged.items()}
        candidate = judged.pop("candidate")
        comparisons += [compare(task, name, candidate, rival, same) for name, rival in judged.items()]
    customers = figures[Task.NEW]["candidate"].customers
    reasons = [_sentence(each) for each in comparisons]
    promoted = all(each.passed for each in comparisons)
    data = bought.digest()
    if champion and "champion" not in models:
        reasons.append(
            f"The champion cannot be judged: it learnt from data {age} days older, and there are none."
        )
    if customers < FEWEST:
        promoted = False
        reasons.insert(
            0, f"Only {customers} customers bought something new in {days} days; {FEWEST} are needed."
        )
    if champion and (its, champion[1].data, champion[1].code) == (parameters, data, code):
        promoted = False
        reasons.insert(0, "Nothing is new: neither data, parameters nor code differ from the champion's.")
    return Decision(
        promoted=promoted,
        reasons=reasons,
        judged_from=str(first),
        judged_until=str(last),
        champion=champion[0] if champion else "",
        champion_age_days=age,
        candidate_parameters=parameters,
        champion_parameters=its,
        comparisons=comparisons,
        figures=figures,
        data=data,
        code=code,
        way=way,
    )


def _judge_all(models: dict[str, Recommender], parts: Split, task: Task) -> dict[str, Judgement]:
    asked: Question = question(parts, task)
    if not len(asked.customers):
        raise ValueError(f"no customer can be judged in the task {task}: judge more days")
    scorers = {
        name: served(_reordered(model, parts.train), parts.train, task) for name, model in models.items()
    }
    return {name: judge(scorer, asked) for name, scorer in (scorers | _rivals(parts.train, task)).items()}


def _reordered(model: Recommender, bought: Purchases) -> Recommender:
    """Check that the model numbers its items as the purchases do: both go by the first purchase."""
    expected: npt.NDArray[np.str_] = bought.items[: len(model.items)]
    if model.items != expected.tolist():
        raise AssertionError("the items of a model are not the first items of its data")
    return model


def _sentence(each: Comparison) -> str:
    verb = "passes" if each.passed else "fails"
    task = "on new items" if each.task == Task.NEW else "on repeats"
    differs = f"NDCG@20 differs by {each.difference}"
    return f"The candidate {verb} against {each.other} {task}: {differs}; {each.needed}."


def readable(decision: Decision) -> str:
    """Return a decision as a page of text."""
    lines = [
        f"# {'Promoted' if decision.promoted else 'Not promoted'}",
        "",
        *(f"- {reason}" for reason in decision.reasons),
        "",
        f"Judged on {decision.judged_from} to {decision.judged_until}. Fitted {decision.way or 'anew'}.",
        f"Champion: {decision.champion or 'none'}, {decision.champion_age_days} days older.",
        f"Data {decision.data}, code {decision.code}.",
        "",
        "| task | model | NDCG@20 | recall@20 | hit rate | coverage | customers |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, models in decision.figures.items():
        for name, each in models.items():
            cells = [task, name, str(each.ndcg), str(each.recall), str(each.hit_rate), f"{each.coverage:.3f}"]
            lines.append(f"| {' | '.join([*cells, str(each.customers)])} |")
    return "\n".join([*lines, ""])
