"""Take over one day of a source: check it, keep its good rows as Parquet, and its bad rows with the reason.

For each day there are three objects below the data's URL, written in this order:

    SOURCE/quarantine/day=DAY/rows.parquet    the bad rows as they were read, with the reason
    SOURCE/lines/day=DAY/lines.parquet        the good rows
    SOURCE/receipts/DAY.json                  what was read, and how many rows of each kind

A day is taken over when it has a receipt. Running it again with the same rows changes nothing; with other
rows (they came late) it replaces the day. A run that ends in the middle leaves no receipt, and the next one
writes the day anew.

Rows that belong to no day that was taken over are kept too, with the reason:

    SOURCE/refused/day=DAY/rows.parquet       all rows of a day that is refused, until it is taken over
    SOURCE/quarantine/undated/rows.parquet    the rows of a file whose day cannot be read
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Iterable
from enum import StrEnum

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .objects import write
from .sources import RAW, Batch

SCHEMA = pa.schema(
    [
        ("invoice", pa.string()),
        ("stock_code", pa.string()),
        ("description", pa.string()),
        ("quantity", pa.int64()),
        ("invoiced_at", pa.timestamp("s")),
        ("unit_price", pa.float64()),
        ("customer", pa.string()),
        ("country", pa.string()),
    ]
)
QUARANTINE = RAW.append(pa.field("reason", pa.string()))
# A day of so many rows is not refused for its volume whatever is usual: few sales vary by large factors.
LEAST_USUAL = 100
# No shop sells a million of anything in one line, and Arrow's 64 bits end at 19 digits.
WHOLE_NUMBER = r"^[+-]?\d{1,7}$"
NUMBER = r"^[+-]?(\d{1,9}(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?$"
MOMENT = r"^\d{4}-\d{2}-\d{2}[ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"


class DayRefused(ValueError):
    """A day that is not taken over, because its source looks broken; its rows were put aside."""


class Outcome(StrEnum):
    """What a run did with a day."""

    NEW = "new"
    UNCHANGED = "unchanged"
    REPLACED = "replaced"


class Receipt(msgspec.Struct, frozen=True):
    """What was taken over for a day: `rows` is `accepted` plus the numbers in `quarantined`."""

    day: str
    digest: str
    rows: int
    accepted: int
    quarantined: dict[str, int]
    warnings: list[str] = []


def check(batch: Batch) -> tuple[pa.Table, pa.Table]:
    """Return the good rows of a day (`SCHEMA`) and the bad ones as they were read, with a reason each."""
    reason = _reasons(batch)
    return _typed(batch.lines.filter(pc.is_null(reason))), _bad(batch, reason)


def _reasons(batch: Batch) -> pa.ChunkedArray:
    """Return why each line is bad; null for good ones."""
    text = batch.lines
    moment = pc.fill_null(pc.utf8_trim_whitespace(text["invoiced_at"]), "")
    # The first reason that fits is given.
    rules: list[tuple[str, pa.ChunkedArray]] = [
        ("InvoiceNo is missing", _missing(text["invoice"])),
        ("StockCode is missing", _missing(text["stock_code"])),
        ("Quantity is not a whole number of at most 7 digits", _not(text["quantity"], WHOLE_NUMBER)),
        ("Quantity is 0", _is(text["quantity"], r"^[+-]?0+$")),
        ("InvoiceDate is not a date and time as 2010-12-01 08:26:00", _not(moment, MOMENT)),
        ("InvoiceDate is of another day", pc.invert(pc.starts_with(moment, str(batch.day)))),
        ("UnitPrice is not a number", _not(text["unit_price"], NUMBER)),
        ("UnitPrice is negative", pc.fill_null(pc.starts_with(text["unit_price"], "-"), False)),
        ("CustomerID is neither empty nor a whole number", _is_no_customer(text["customer"])),
    ]
    reason = pa.chunked_array([pa.nulls(len(text), pa.string())])
    for words, bad in rules:
        reason = pc.if_else(pc.and_(pc.is_null(reason), bad), words, reason)
    return reason


def _bad(batch: Batch, reason: pa.ChunkedArray) -> pa.Table:
    """Return the rows of a batch that have a reason, and the broken ones (`QUARANTINE`)."""
    rows = batch.lines.append_column("reason", reason).filter(pc.is_valid(reason))
    broken = pa.table(
        {
            name: batch.broken[name]
            if name in ("line", "reason")
            else pa.nulls(len(batch.broken), pa.string())
            for name in QUARANTINE.names
        }
    )
    return pa.concat_tables([rows.cast(QUARANTINE), broken.cast(QUARANTINE)])


def _missing(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.equal(pc.fill_null(pc.utf8_trim_whitespace(column), ""), "")


def _is(column: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.match_substring_regex(column, pattern, ignore_case=True), False)


def _not(column: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    return pc.invert(_is(column, pattern))


def _is_no_customer(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.and_(pc.is_valid(column), _not(column, r"^\d{1,18}(\.0)?$"))


def _typed(text: pa.Table) -> pa.Table:
    moment = pc.replace_substring(pc.utf8_trim_whitespace(text["invoiced_at"]), "T", " ")
    moment = pc.if_else(
        pc.equal(pc.utf8_length(moment), 16), pc.binary_join_element_wise(moment, "00", ":"), moment
    )
    columns = {
        "invoice": pc.utf8_trim_whitespace(text["invoice"]),
        "stock_code": pc.utf8_upper(pc.utf8_trim_whitespace(text["stock_code"])),
        "description": text["description"],
        "quantity": pc.replace_substring_regex(text["quantity"], r"^\+", "").cast(pa.int64()),
        "invoiced_at": moment.cast(pa.timestamp("s")),
        "unit_price": pc.replace_substring_regex(text["unit_price"], r"^\+", "").cast(pa.float64()),
        # Spreadsheets write the number of a customer as 17850.0 where some are empty.
        "customer": pc.replace_substring_regex(text["customer"], r"\.0$", ""),
        "country": text["country"],
    }
    return pa.table(columns).cast(SCHEMA)


class DayStore:
    """The days of one source below a URL that fsspec knows (file://, s3://, memory://)."""

    def __init__(self, url: str, source: str = "invoices") -> None:
        """Open the store; nothing is read or made yet."""
        self.files, root = fsspec.core.url_to_fs(url)
        self.root = f"{root.rstrip('/')}/{source}"

    def _table(self, path: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write(self.files, path, sink.getvalue().to_pybytes())

    def receipt(self, day: dt.date) -> Receipt | None:
        """Return the receipt of a day, or None if it was not taken over."""
        try:
            return msgspec.json.decode(self.files.cat_file(f"{self.root}/receipts/{day}.json"), type=Receipt)
        except FileNotFoundError:
            return None

    def days(self) -> list[dt.date]:
        """Return the days that were taken over, in order."""
        try:
            found = self.files.ls(f"{self.root}/receipts", detail=False, refresh=True)
        except FileNotFoundError:
            return []
        names = [str(path).rpartition("/")[2] for path in found]
        return sorted(dt.date.fromisoformat(name[:-5]) for name in names if name.endswith(".json"))

    def lines(self, days: Iterable[dt.date] | None = None) -> pa.Table:
        """Return the good rows of the given days, or of all (`SCHEMA`)."""
        wanted = [
            f"{self.root}/lines/day={day}/lines.parquet" for day in (self.days() if days is None else days)
        ]
        # Parquet has no seconds: they come back as milliseconds.
        return pa.concat_tables([SCHEMA.empty_table(), *(self._read(path).cast(SCHEMA) for path in wanted)])

    def quarantined(self, day: dt.date) -> pa.Table:
        """Return the bad rows of a day as they were read, with the reason (`QUARANTINE`)."""
        return self._read(f"{self.root}/quarantine/day={day}/rows.parquet")

    def undated(self) -> pa.Table:
        """Return the rows of a file whose day cannot be read (`QUARANTINE`)."""
        return self._read(f"{self.root}/quarantine/undated/rows.parquet")

    def refused(self, day: dt.date) -> pa.Table:
        """Return the rows of a day that is refused (`QUARANTINE`); FileNotFoundError where none is."""
        return self._read(self._refused(day))

    def _refused(self, day: dt.date) -> str:
        return f"{self.root}/refused/day={day}/rows.parquet"

    def _read(self, path: str) -> pa.Table:
        return pq.read_table(pa.BufferReader(self.files.cat_file(path)))

    def usual_rows(self, day: dt.date, last: int = 28) -> float:
        """Return the median number of good rows of the last days before a day that had any; 0 if none had."""
        before = [each for each in self.days() if each < day][-last:]
        receipts = (self.receipt(each) for each in before)
        return statistics.median([each.accepted for each in receipts if each and each.accepted] or [0])

    def take(
        self, batch: Batch, quarantine_bound: float = 0.05, volume_bound: float = 20.0
    ) -> tuple[Outcome, Receipt]:
        """Take over a day. DayRefused if too many rows are bad, or if there are far more rows than usual."""
        assert batch.day, "rows without a day are put aside, see take_undated"
        before, digest = self.receipt(batch.day), batch.digest()
        if before and before.digest == digest:
            self._forget_refused(batch.day)
            return Outcome.UNCHANGED, before
        good, bad = check(batch)
        reasons = _counted(bad)
        usual = self.usual_rows(batch.day)
        problem = _too_many_bad(batch, bad, quarantine_bound)
        if usual and len(good) > volume_bound * max(usual, LEAST_USUAL):
            problem = problem or (
                f"{len(good)} rows are more than {volume_bound:g} times the usual "
                f"{max(usual, LEAST_USUAL):g} (volume_bound)"
            )
        if problem:
            rows = _bad(batch, pc.fill_null(_reasons(batch), "the day is refused"))
            self._table(self._refused(batch.day), rows)
            raise DayRefused(f"{batch.day}: {problem}")
        warnings = []
        if usual and good and len(good) < usual / volume_bound:
            warnings.append(f"{len(good)} rows are far fewer than the usual {usual:g}")
        if later := sum(each > batch.day for each in self.days()):
            warnings.append(f"the day came late: {later} later days were there already")
        receipt = Receipt(str(batch.day), digest, batch.rows, len(good), reasons, warnings)
        if receipt.rows != receipt.accepted + sum(reasons.values()):
            raise AssertionError(f"{batch.day}: rows were lost: {receipt}")
        self._table(f"{self.root}/quarantine/day={batch.day}/rows.parquet", bad)
        self._table(f"{self.root}/lines/day={batch.day}/lines.parquet", good)
        write(self.files, f"{self.root}/receipts/{batch.day}.json", msgspec.json.encode(receipt))
        self._forget_refused(batch.day)
        return (Outcome.REPLACED if before else Outcome.NEW), receipt

    def take_undated(self, batch: Batch, quarantine_bound: float = 0.05) -> str:
        """Put the rows of a file aside whose day cannot be read; return what is wrong if they are too many.

        Those of the same file are replaced, so that no row is there twice.
        """
        bad = _bad(batch, _reasons(batch))
        self._table(f"{self.root}/quarantine/undated/rows.parquet", bad)
        return _too_many_bad(batch, bad, quarantine_bound)

    def _forget_refused(self, day: dt.date) -> None:
        if self.files.exists(path := self._refused(day)):
            self.files.rm_file(path)


def _counted(bad: pa.Table) -> dict[str, int]:
    return {each["values"]: each["counts"] for each in pc.value_counts(bad["reason"]).to_pylist()}


def _too_many_bad(batch: Batch, bad: pa.Table, bound: float) -> str:
    """Return what is wrong if more rows are bad than the bound allows; one always may be."""
    rows = batch.whole or batch.rows
    if len(bad) <= max(bound * rows, 1):
        return ""
    reasons = ", ".join(f"{count} x {reason}" for reason, count in _counted(bad).items())
    return f"{len(bad)} of {rows} rows are bad, and the bound is {bound:.0%} (quarantine_bound): {reasons}"
