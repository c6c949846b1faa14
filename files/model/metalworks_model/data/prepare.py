"""Turn invoice lines into purchases, and split them by time.

A purchase is one line of one basket: a customer, an item, a day. An invoice is a basket.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int32]
EPOCH = dt.date(1970, 1, 1)
# Five digits and at most a letter are goods. The rest are postage, fees, samples, manual corrections.
GOODS = r"^\d{5}"


def day_number(day: dt.date) -> int:
    """Return the days from 1970-01-01 to this day."""
    return (day - EPOCH).days


def clean(lines: pa.Table) -> pa.Table:
    """Keep the lines that say what a known customer bought.

    Left out are lines without a customer, cancellations (their invoice begins with C), quantities and prices
    that are not positive, and codes that are not goods. The input has the columns of `ingest.SCHEMA`.
    """
    keep = [
        pc.is_valid(lines["customer"]),
        pc.invert(pc.starts_with(lines["invoice"], "C")),
        pc.greater(lines["quantity"], 0),
        pc.greater(lines["unit_price"], 0.0),
        pc.match_substring_regex(lines["stock_code"], GOODS),
    ]
    mask = keep[0]
    for each in keep[1:]:
        mask = pc.and_(mask, each)
    return lines.filter(mask)


@dataclass(frozen=True)
class Purchases:
    """What customers bought, as whole numbers.

    `users` and `items` hold the names, in the order of the first purchase; so a later day only appends to
    them. `user`, `item`, `basket` and `day` have one entry for each purchase: positions in `users` and
    `items`, the number of the basket, days since 1970-01-01. They are sorted by day, basket and item, and a
    basket has an item once.
    """

    users: npt.NDArray[np.str_]
    items: npt.NDArray[np.str_]
    user: Ints
    item: Ints
    basket: Ints
    day: Ints

    def __len__(self) -> int:
        """Return the number of purchases."""
        return len(self.user)

    @property
    def last_day(self) -> int:
        """The newest day that has a purchase, in days since 1970-01-01; 0 where there is none."""
        return int(self.day[-1]) if len(self) else 0

    def select(self, mask: npt.NDArray[np.bool_]) -> Purchases:
        """Return the purchases of a mask, with the same names and numbers of users and items."""
        return Purchases(
            self.users, self.items, self.user[mask], self.item[mask], self.basket[mask], self.day[mask]
        )

    def before(self, day: dt.date) -> Purchases:
        """Return the purchases before a day."""
        return self.select(self.day < day_number(day))

    def between(self, first: dt.date, end: dt.date) -> Purchases:
        """Return the purchases from a day on, before another day."""
        return self.select((self.day >= day_number(first)) & (self.day < day_number(end)))

    def compact(self) -> Purchases:
        """Return the same purchases, without users and items that have none."""
        users, user = np.unique(self.user, return_inverse=True)
        items, item = np.unique(self.item, return_inverse=True)
        return Purchases(
            self.users[users],
            self.items[items],
            user.astype(np.int32),
            item.astype(np.int32),
            self.basket,
            self.day,
        )

    def digest(self) -> str:
        """Return the SHA-256 of all that a model sees, in hexadecimal digits."""
        found = hashlib.sha256()
        for names in (self.users, self.items):
            found.update("\0".join(names.tolist()).encode())
        for numbers in (self.user, self.item, self.basket, self.day):
            found.update(np.ascontiguousarray(numbers, "<i4").tobytes())
        return found.hexdigest()


def _numbered(column: pa.ChunkedArray, day: Ints) -> tuple[npt.NDArray[np.str_], Ints]:
    """Number the values of a column by the day on which they appear first, and by name within a day."""
    coded = column.combine_chunks().dictionary_encode()
    names = np.asarray(coded.dictionary.to_pylist(), dtype=str)
    code = coded.indices.to_numpy().astype(np.int32)
    first = np.full(len(names), np.iinfo(np.int32).max, np.int32)
    np.minimum.at(first, code, day)
    order = np.lexsort((names, first))
    number = np.empty(len(names), np.int32)
    number[order] = np.arange(len(names), dtype=np.int32)
    return names[order], number[code]


def purchases(lines: pa.Table) -> Purchases:
    """Turn clean lines (`clean`) into purchases: an item counts once in a basket."""
    day = lines["invoiced_at"].cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int32)
    users, user = _numbered(lines["customer"], day)
    items, item = _numbered(lines["stock_code"], day)
    _, basket = _numbered(lines["invoice"], day)
    order = np.lexsort((item, user, basket, day))
    user, item, basket, day = user[order], item[order], basket[order], day[order]
    first = np.ones(len(order), bool)
    same = (user[1:] == user[:-1]) & (item[1:] == item[:-1]) & (basket[1:] == basket[:-1])
    first[1:] = ~(same & (day[1:] == day[:-1]))
    return Purchases(users, items, user[first], item[first], basket[first], day[first])


@dataclass(frozen=True)
class Split:
    """Purchases to learn from, and those of the time after, to judge with."""

    train: Purchases
    test: Purchases


def split(bought: Purchases, first: dt.date, end: dt.date) -> Split:
    """Split by time: learn from what is before `first`, judge with what is from `first` on, before `end`.

    Both parts number users and items alike; those that only the test knows have no purchase in `train`.
    ValueError if either part is empty.
    """
    found = Split(bought.before(first), bought.between(first, end))
    for name, part in (("before", found.train), ("from", found.test)):
        if not len(part):
            raise ValueError(f"there is no purchase {name} {first}: choose a day inside of the data")
    return found
