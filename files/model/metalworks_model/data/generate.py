"""Make invoices of a shop that does not exist, with the schema of UCI Online Retail.

The default run needs data that anybody may have. They are made so that a recommender has something to learn,
and the other parts something to find: customers with tastes buy again what they bought; kinds of goods have
seasons, new items come, tastes drift; some lines are returned, some rows are broken, and a few quantities and
prices are absurd. The same world (`World`) gives the same bytes.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from .sources import COLUMNS

Floats = npt.NDArray[np.float64]
COUNTRIES = ("United Kingdom", "Germany", "France", "EIRE", "Spain", "Netherlands")
COLOURS = ("RED", "BLUE", "GREEN", "PINK", "IVORY", "BLACK", "SILVER", "VINTAGE", "RETRO", "MINI")
THINGS = ("LANTERN", "MUG", "CUSHION", "BUNTING", "CANDLE", "LUNCH BAG", "CAKE TIN", "CLOCK",
          "GARLAND", "NAPKINS", "DOORMAT", "TRINKET BOX", "TEA TOWEL", "PHOTO FRAME",
          "BIRD HOUSE", "PENCILS")  # fmt: skip
# What is in invoices beside goods: postage, discounts, corrections by hand.
FEES = (("POST", "POSTAGE", 18.0), ("C2", "CARRIAGE", 50.0), ("M", "Manual", 1.25))


class World(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large the shop is, and how it behaves. Rates are shares from 0 to 1."""

    seed: int = 0
    first: dt.date = dt.date(2010, 12, 1)
    customers: int = 4000
    items: int = 3500
    kinds: int = 40
    baskets_a_day: float = 65.0
    lines_in_a_basket: float = 18.0
    repeat: float = 0.4
    """The share of lines in which a customer buys what he bought before."""
    nameless: float = 0.15
    """The share of baskets without a customer."""
    returned: float = 0.015
    broken: float = 0.0005
    absurd: float = 0.0003
    drift: float = 0.25
    """How far the popularity of kinds wanders in a month, in logarithms."""


@dataclass(frozen=True)
class Day:
    """The invoices of a day: `lines` is text with the columns of the source.

    `absurd` has the numbers of the rows whose quantity or price was made absurd, `broken` those of broken
    rows.
    """

    day: dt.date
    lines: pa.Table
    absurd: list[int]
    broken: list[int]

    def csv(self) -> bytes:
        """Return the file of the day."""
        sink = io.BytesIO()
        csv.write_csv(self.lines, sink)
        return sink.getvalue()


def is_open(day: dt.date) -> bool:
    """Return whether the shop sells: not on Saturdays, nor from 24 December to 3 January."""
    return day.weekday() != 5 and not (
        (day.month == 12 and day.day >= 24) or (day.month == 1 and day.day <= 3)
    )


def days(world: World, count: int) -> Iterator[Day]:
    """Yield this many days, one after the other. A shorter run is the beginning of a longer one."""
    shop = _Shop(world)
    for each in range(count):
        yield shop.next_day(world.first + dt.timedelta(each))


def write(folder: Path, world: World, count: int) -> None:
    """Write a file for each day, DAY.csv, and truth.json: the absurd and the broken rows of each day."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for day in days(world, count):
        (folder / f"{day.day}.csv").write_bytes(day.csv())
        truth[str(day.day)] = {"absurd": day.absurd, "broken": day.broken}
    (folder / "truth.json").write_bytes(msgspec.json.format(msgspec.json.encode(truth)))


class _Shop:
    """What lasts from one day to the next."""

    def __init__(self, world: World) -> None:
        self.world = world
        random = self.random = np.random.default_rng(world.seed)
        kinds, items, people = world.kinds, world.items, world.customers
        self.kind = random.integers(0, kinds, items)
        self.base = random.zipf(1.6, items).clip(max=200).astype(float) ** 0.8
        self.price = np.round(np.exp(random.normal(0.9, 0.8, items)), 2).clip(0.1)
        self.pack = random.choice([1, 1, 2, 6, 12, 24], items)
        # A third of the items come in the course of the first year, the rest were always there.
        self.launched = np.where(random.random(items) < 0.3, random.integers(0, 365, items), -1)
        self.peak = random.integers(0, 365, kinds)
        self.season = np.where(random.random(kinds) < 0.5, random.uniform(0.5, 2.0, kinds), 0.0)
        # Every tenth kind is for Christmas.
        self.peak[::10], self.season[::10] = 335, 2.5
        self.mood = np.zeros(kinds)
        self.taste = random.gamma(0.15, 1.0, (people, kinds)) + 0.005
        self.visits = random.gamma(0.7, 1.0, people)
        self.size = np.exp(random.normal(0, 0.6, people))
        self.since = np.where(random.random(people) < 0.4, random.integers(0, 365, people), -1)
        self.country = random.choice(len(COUNTRIES), people, p=[0.88, 0.04, 0.03, 0.02, 0.015, 0.015])
        self.name = random.permutation(np.arange(12000, 12000 + people))
        self.code = self._codes(items)
        self.text = [
            f"{COLOURS[random.integers(len(COLOURS))]} {THINGS[kind % len(THINGS)]} {number}"
            for number, kind in enumerate(self.kind.tolist())
        ]
        self.bought: dict[int, list[int]] = {}
        self.invoice = 536365
        self.number = 0
        # Lines of the last days, some of which come back.
        self.recent: list[tuple[str, int, int, float, str, str]] = []

    def _codes(self, items: int) -> list[str]:
        numbers = self.random.permutation(np.arange(20000, 20000 + items))
        letters = np.where(self.random.random(items) < 0.2, self.random.integers(0, 26, items), -1)
        return [
            f"{number}{chr(65 + letter) if letter >= 0 else ''}"
            for number, letter in zip(numbers, letters, strict=True)
        ]

    def next_day(self, day: dt.date) -> Day:
        random, world = self.random, self.world
        self.mood += random.normal(0, world.drift / np.sqrt(30), world.kinds)
        self.number += 1
        rows: list[list[str]] = []
        if is_open(day):
            season = np.exp(
                self.season * np.cos(2 * np.pi * (day.timetuple().tm_yday - self.peak) / 365) + self.mood
            )
            available = self.launched < self.number
            pull = self.base * season[self.kind] * available
            calendar = 1.6 if day.month in (10, 11) else 1.2 if day.month in (9, 12) else 1.0
            chances = self.visits * (self.since < self.number)
            count = random.poisson(world.baskets_a_day * calendar)
            for person in random.choice(len(chances), count, p=chances / chances.sum()).tolist():
                rows += self._basket(day, pull, person)
            rows += self._returns(day)
        absurd, broken = self._spoil(rows)
        columns = [pa.array([row[at] for row in rows], pa.string()) for at in range(len(COLUMNS))]
        return Day(day, pa.table(columns, names=list(COLUMNS)), absurd, broken)

    def _basket(self, day: dt.date, pull: Floats, person: int) -> list[list[str]]:
        random, world = self.random, self.world
        nameless = random.random() < world.nameless
        size = 1 + random.poisson(
            world.lines_in_a_basket * self.size[person] * (0.4 + random.exponential(0.6))
        )
        own = self.bought.setdefault(person, [])
        repeats = int(random.binomial(size, world.repeat)) if own and not nameless else 0
        chosen = [own[each] for each in random.integers(0, len(own), repeats)] if repeats else []
        weight = pull * self.taste[person][self.kind]
        fresh = min(size - repeats, int((weight > 0).sum()))
        # Weighted sampling without replacement (Efraimidis and Spirakis 2006): the smallest waiting times.
        waiting = random.standard_exponential(len(weight)) / np.maximum(weight, 1e-300)
        if fresh:
            chosen += np.argsort(waiting, kind="stable")[:fresh].tolist()
        self.invoice += int(random.integers(1, 4))
        moment = f"{day} {random.integers(8, 18):02}:{random.integers(0, 60):02}:00"
        customer = "" if nameless else f"{self.name[person]}.0"
        country = COUNTRIES[self.country[person]]
        rows = []
        for item in dict.fromkeys(chosen):
            quantity = int(self.pack[item] * (1 + random.poisson(0.7 * self.size[person])))
            price = round(float(self.price[item]) * (1.0 if quantity < 24 else 0.85), 2)
            rows.append(self._row(str(self.invoice), item, quantity, moment, price, customer, country))
            self.recent.append((str(self.invoice), item, quantity, price, customer, country))
        if random.random() < 0.06:
            code, text, price = FEES[random.integers(len(FEES))]
            rows.append([str(self.invoice), code, text, "1", moment, repr(price), customer, country])
        if not nameless:
            own.extend(dict.fromkeys(chosen))
        return rows

    def _row(
        self, invoice: str, item: int, quantity: int, moment: str, price: float, customer: str, country: str
    ) -> list[str]:
        return [
            invoice,
            self.code[item],
            self.text[item],
            str(quantity),
            moment,
            repr(price),
            customer,
            country,
        ]

    def _returns(self, day: dt.date) -> list[list[str]]:
        self.recent = self.recent[-20_000:]
        rows = []
        for _ in range(min(self.random.poisson(self.world.returned * 1200), len(self.recent))):
            _, item, quantity, price, customer, country = self.recent[self.random.integers(len(self.recent))]
            self.invoice += 1
            moment = f"{day} {self.random.integers(9, 18):02}:{self.random.integers(0, 60):02}:00"
            rows.append(self._row(f"C{self.invoice}", item, -quantity, moment, price, customer, country))
        return rows

    def _spoil(self, rows: list[list[str]]) -> tuple[list[int], list[int]]:
        """Make some rows absurd and some broken, in place, and return their numbers."""
        random = self.random
        draws = random.random((len(rows), 2))
        goods = np.array([row[1][:1].isdigit() for row in rows], bool)
        absurd = np.flatnonzero((draws[:, 0] < self.world.absurd) & goods).tolist()
        broken = np.flatnonzero(
            (draws[:, 1] < self.world.broken) & (draws[:, 0] >= self.world.absurd)
        ).tolist()
        for at in absurd:
            if random.random() < 0.5:
                rows[at][3] = str(int(rows[at][3]) * int(random.integers(2000, 6000)))
            else:
                rows[at][5] = repr(round(float(rows[at][5]) * int(random.integers(300, 3000)), 2))
        for at in broken:
            column, value = [(0, ""), (3, "many"), (3, "0"), (4, "yesterday"), (5, "free"), (6, "n/a")][
                random.integers(6)
            ]
            rows[at][column] = value
        return absurd, broken
