"""The recommender as it is served: what a customer is likely to buy, and why.

It needs numpy only. Its arrays are those of `Recommender.pack`; they stay in their files and are shared by
the processes of a machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from .artifact import Card
from .tensors import Array, BadInput, Tensor

MOST = 100
# How many new items for each known customer are computed when a version is made.
READY = 50
# So many customers or baskets may be in one request, and items in a basket: others wait for its answer.
ROWS_BOUND = 1000


class Task(StrEnum):
    """Which items are meant: those that the customer never bought, or also those to buy again."""

    NEW = "new"
    AGAIN = "again"


class Because(msgspec.Struct, frozen=True):
    """Why an item is recommended.

    `reason` is bought_together (customers who bought `item` buy this), bought_before (this customer bought it
    in `baskets` baskets) or popular.
    """

    reason: str
    item: str = ""
    name: str = ""
    baskets: int = 0


class Recommended(msgspec.Struct, frozen=True):
    """One item of an answer. Scores compare the items of one answer, not answers with one another."""

    item: str
    name: str
    score: float
    because: Because


@dataclass(frozen=True, slots=True)
class History:
    """What a customer bought: positions of items, the weight of recency, and in how many baskets."""

    items: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    baskets: npt.NDArray[np.int32]


NOBODY = History(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int32))


class Recommender:
    """Answers from the arrays of a version."""

    inputs = (Tensor("user", "BYTES", (-1,)), Tensor("basket", "BYTES", (-1, -1)))
    outputs = (
        Tensor("item", "BYTES", (-1, -1)),
        Tensor("score", "FP32", (-1, -1)),
        Tensor("because", "BYTES", (-1, -1)),
    )
    # What is given where a request names no outputs. Reasons take time.
    usual_outputs = ("item", "score")
    slow = False

    def __init__(self, card: Card, arrays: Mapping[str, Array]) -> None:
        """Take the arrays of `pack`."""
        self.card = card
        self.users, self.pointers = arrays["users"], arrays["pointers"]
        self.owned, self.recency, self.baskets = arrays["owned"], arrays["recency"], arrays["baskets"]
        self.neighbours, self.weights = arrays["neighbours"], arrays["weights"]
        self.sorted_items, self.item_order = arrays["sorted_items"], arrays["item_order"]
        self.popular = arrays["popular"]
        self.ready_items = arrays.get("ready_items")
        self.ready_scores = arrays.get("ready_scores")
        # The names of items are in every answer.
        self.items: list[str] = [each.decode() for each in arrays["items"].tolist()]
        self.names: list[str] = [each.decode() for each in arrays["names"].tolist()]
        self.frequency_share = float(card.parameters.get("frequency_share", 0.5))

    @staticmethod
    def pack(
        users: Array,
        pointers: Array,
        history: History,
        items: Array,
        names: Array,
        neighbours: Array,
        weights: Array,
        popular: Array,
    ) -> dict[str, Array]:
        """Return the arrays as they are kept.

        `users` (bytes, sorted) have their history from `pointers[u]` to `pointers[u + 1]`. `items` and
        `names` are bytes. `neighbours` and `weights` are items by kept weights. `popular` has the positions
        of all items, the most popular first.
        """
        order = np.argsort(items, kind="stable").astype(np.int32)
        return {
            "users": users,
            "pointers": pointers.astype(np.int64),
            "owned": history.items.astype(np.int32),
            "recency": history.weights.astype(np.float32),
            "baskets": history.baskets.astype(np.int32),
            "items": items,
            "names": names,
            "sorted_items": items[order],
            "item_order": order,
            # As wide as numpy's own index, so that nothing is converted for an answer.
            "neighbours": neighbours.astype(np.int64),
            "weights": weights.astype(np.float32),
            "popular": popular.astype(np.int32),
        }

    def make_ready(self) -> dict[str, Array]:
        """Return arrays with the best new items of each known customer, so that serving need not find them.

        A customer with a long history takes milliseconds, and most requests are for known customers. Where
        there are fewer items than that, the rest of a row is -1.
        """
        items = np.full((len(self.users), READY), -1, np.int32)
        scores = np.zeros((len(self.users), READY), np.float32)
        for row in range(len(self.users)):
            top, values = self.best(self._history_at(row), READY)
            items[row, : len(top)], scores[row, : len(top)] = top, values
        return {"ready_items": items, "ready_scores": scores}

    def place(self, user: str) -> int:
        """Return the row of a customer; -1 for one that the model does not know."""
        name = user.encode()
        # numpy would cut off a longer name.
        if len(name) > self.users.itemsize or name.endswith(b"\0"):
            return -1
        at = int(self.users.searchsorted(np.bytes_(name)))
        return at if at < len(self.users) and self.users[at] == name else -1

    def best_of(self, user: str, count: int, task: Task) -> tuple[Array, Array]:
        """Return the positions and scores of the best items for a customer: ready ones, or computed now."""
        at = self.place(user)
        if at >= 0 and task is Task.NEW and count <= READY and self.ready_items is not None:
            items = self.ready_items[at, :count]
            if self.ready_scores is not None and items[-1] >= 0:
                return items, self.ready_scores[at, :count]
        return self.best(self._history_at(at), count, task)

    def history(self, user: str) -> History:
        """Return what a customer bought; nothing for one that the model does not know."""
        return self._history_at(self.place(user))

    def _history_at(self, at: int) -> History:
        if at < 0:
            return NOBODY
        its = slice(int(self.pointers[at]), int(self.pointers[at + 1]))
        return History(self.owned[its], self.recency[its], self.baskets[its])

    def customers(self, count: int) -> list[tuple[str, int]]:
        """Return the customers with the most different items, and how many those are."""
        sizes = np.diff(self.pointers)
        order = np.argsort(-sizes, kind="stable")[:count]
        return [(self.users[each].decode(), int(sizes[each])) for each in order.tolist()]

    def basket(self, items: Sequence[str]) -> tuple[History, list[str]]:
        """Return a basket as a history, and the items that the model does not know."""
        found, unknown = [], []
        for item in dict.fromkeys(items):
            name = item.encode()
            at = int(np.searchsorted(self.sorted_items, np.bytes_(name)))
            if at < len(self.sorted_items) and self.sorted_items[at] == name:
                found.append(int(self.item_order[at]))
            else:
                unknown.append(item)
        count = len(found)
        return History(
            np.array(found, np.int32), np.ones(count, np.float32), np.ones(count, np.int32)
        ), unknown

    def scores(self, history: History, task: Task) -> npt.NDArray[np.float64]:
        """Return the score of each item; -inf for one that must not be recommended."""
        items = history.items
        if not len(items):
            found: npt.NDArray[Any] = np.zeros(len(self.items))
        else:
            values = self.weights[items] * history.weights[:, None]
            found = np.bincount(self.neighbours[items].ravel(), values.ravel(), len(self.items))
        if task is Task.NEW:
            found[items] = -np.inf
            return found
        found *= (1 - self.frequency_share) / max(float(found.max(initial=0)), 1e-12)
        if len(items):
            found[items] += self.frequency_share * (history.baskets / history.baskets.max())
        return found

    def best(self, history: History, count: int, task: Task = Task.NEW) -> tuple[Array, Array]:
        """Return the positions and scores (float32) of the best items.

        Where fewer than `count` have a positive score, the most popular others follow with the score 0.
        """
        scores = self.scores(history, task)
        count = min(count, len(scores) - (len(history.items) if task is Task.NEW else 0))
        if count <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        top = np.flatnonzero(scores > 0)
        values = scores[top]
        if len(top) > count:
            # numpy finds the smallest good score several times as fast as the places of the good ones.
            good_enough = values >= np.partition(values, len(values) - count)[len(values) - count]
            top, values = top[good_enough], values[good_enough]
        # Of equal scores the first item, so that an answer does not depend on the machine.
        order = (-values).argsort(kind="stable")[:count]
        top, values = top[order], values[order]
        good = len(top)
        if good < count:
            taken = {*top[:good].tolist(), *(history.items.tolist() if task is Task.NEW else ())}
            more: list[int] = []
            for each in self.popular:
                if len(more) == count - good:
                    break
                if int(each) not in taken:
                    more.append(int(each))
            top = np.concatenate([top[:good], np.array(more, top.dtype)])
            values = np.concatenate([values[:good], np.zeros(len(more))])
        return top, values.astype(np.float32)

    def because(self, history: History, top: Array, scores: Array, task: Task) -> list[Because]:
        """Return the reason for each of the best items: the part of its score that counts most."""
        place = np.full(len(self.items), -1, np.int32)
        place[top] = np.arange(len(top), dtype=np.int32)
        items = np.asarray(history.items)
        best = np.zeros(len(top))
        source = np.full(len(top), -1, np.int64)
        if len(items):
            where = place[self.neighbours[items]]
            row, column = np.nonzero(where >= 0)
            part = self.weights[items[row], column] * np.asarray(history.weights)[row]
            target = where[row, column]
            order = np.argsort(part, kind="stable")
            best[target[order]] = part[order]  # the last one that is written is the largest
            source[target[order]] = row[order]
        own = {int(item): int(count) for item, count in zip(items, history.baskets, strict=True)}
        found = []
        for each, (item, score) in enumerate(zip(top.tolist(), scores.tolist(), strict=True)):
            if task is Task.AGAIN and item in own:
                found.append(Because("bought_before", baskets=own[item]))
            elif score > 0 and source[each] >= 0 and best[each] > 0:
                other = int(items[source[each]])
                found.append(Because("bought_together", self.items[other], self.names[other]))
            else:
                found.append(Because("popular"))
        return found

    def recommend(
        self, history: History, count: int = 20, task: Task = Task.NEW, user: str | None = None
    ) -> list[Recommended]:
        """Return the best items with their names and reasons; `user` is whose history it is."""
        top, scores = self.best(history, count, task) if user is None else self.best_of(user, count, task)
        reasons = self.because(history, top, scores, task)
        return [
            Recommended(self.items[item], self.names[item], round(score, 6), reason)
            for item, score, reason in zip(top.tolist(), scores.tolist(), reasons, strict=True)
        ]

    def infer(self, inputs: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
        """Answer for each user, or for each basket (a row of items; empty text fills it up).

        Parameters are `count` (1 to 100, by default 20), `task` (new or again, by default new), and
        `explain`. All rows of an answer have one length, so `count` is smaller where somebody bought nearly
        everything.
        """
        count, task = read_count(parameters.get("count", 20)), read_task(parameters.get("task", "new"))
        if inputs.keys() == {"user"}:
            users = _bounded("user", inputs["user"]).ravel().tolist()
            histories = [self.history(user) for user in users]
            count = self._possible(histories, count, task)
            best = [self.best_of(user, count, task) for user in users]
        elif inputs.keys() == {"basket"}:
            baskets = _bounded("basket", inputs["basket"])
            rows = baskets.reshape(baskets.shape[:2]).tolist()
            histories = [self.basket([item for item in row if item])[0] for row in rows]
            count = self._possible(histories, count, task)
            best = [self.best(each, count, task) for each in histories]
        else:
            raise BadInput("give one input: user (names of customers) or basket (rows of items)")
        found = self._tensors(best)
        if parameters.get("explain"):
            found["because"] = np.empty(found["item"].shape, object)
            for row, (history, (top, scores)) in enumerate(zip(histories, best, strict=True)):
                reasons = self.because(history, top, scores, task)
                found["because"][row] = [msgspec.json.encode(each).decode() for each in reasons]
        return found

    def _possible(self, histories: Sequence[History], count: int, task: Task) -> int:
        owned = max((len(each.items) for each in histories), default=0) if task is Task.NEW else 0
        return max(min(count, len(self.items) - owned), 0)

    def _tensors(self, best: Sequence[tuple[Array, Array]]) -> dict[str, Array]:
        width = len(best[0][0]) if best else 0
        item = np.empty((len(best), width), object)
        score = np.empty((len(best), width), np.float32)
        for row, (top, scores) in enumerate(best):
            item[row] = [self.items[each] for each in top.tolist()]
            score[row] = scores
        return {"item": item, "score": score}


def _bounded(name: str, rows: Array) -> Array:
    if not len(rows):
        raise BadInput(f"the input {name} has no rows")
    if max(rows.shape) > ROWS_BOUND:
        raise BadInput(f"the input {name} has at most {ROWS_BOUND} rows, and as many items in each")
    return rows


def read_count(value: object) -> int:
    """Return the number of items that a request asks for. BadInput if it is none from 1 to 100."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise BadInput(f"count has to be a whole number from 1 to {MOST}, and not {value!r}")
    return value


def read_task(value: object) -> Task:
    """Return the task that a request asks for. BadInput if there is none of that name."""
    try:
        return Task(value)  # type: ignore[arg-type]
    except ValueError:
        raise BadInput(f"task has to be new or again, and not {value!r}") from None
