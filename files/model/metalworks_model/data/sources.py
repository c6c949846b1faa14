"""Read invoice lines as their source has them: CSV with the columns of UCI Online Retail, all as text."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import fsspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

# The names of the source (UCI data set 352), and ours.
COLUMNS = {
    "InvoiceNo": "invoice",
    "StockCode": "stock_code",
    "Description": "description",
    "Quantity": "quantity",
    "InvoiceDate": "invoiced_at",
    "UnitPrice": "unit_price",
    "CustomerID": "customer",
    "Country": "country",
}
RAW = pa.schema([(name, pa.string()) for name in [*COLUMNS.values(), "line"]])
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class SourceProblem(ValueError):
    """A source that cannot be read as invoice lines; the message says where and what."""


@dataclass(frozen=True)
class Batch:
    """What a source says about one day: its lines as text, and those that are not even a line.

    Without a day it is what a file of many days has beside them.

    `lines` has the columns of `RAW`, where `line` is the number of the line in its file. `broken` has the
    columns `line` (text as it was read) and `reason`.
    """

    day: dt.date | None
    lines: pa.Table
    broken: pa.Table
    whole: int = 0
    """The rows of the file that a batch without a day comes from."""

    @property
    def rows(self) -> int:
        """The number of rows that were read, good or bad."""
        return len(self.lines) + len(self.broken)

    def digest(self) -> str:
        """Return the SHA-256 of all rows, in hexadecimal digits."""
        found = hashlib.sha256()
        for table in (self.lines.drop_columns("line"), self.broken):
            sink = io.BytesIO()
            csv.write_csv(table, sink)
            found.update(sink.getvalue())
        return found.hexdigest()


def parse(content: bytes, place: str) -> tuple[pa.Table, pa.Table]:
    """Return the lines of a CSV file as text, and the broken rows. SourceProblem if it has other columns."""
    broken: list[tuple[str, str]] = []

    def keep(row: csv.InvalidRow) -> str:
        reason = f"the row has {row.actual_columns} columns, and not {row.expected_columns}"
        broken.append((row.text or "", reason))
        return "skip"

    try:
        content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise SourceProblem(f"{place} is not UTF-8: byte {problem.start} cannot be read") from None
    try:
        table = csv.read_csv(
            io.BytesIO(content),
            # One thread keeps the order of the rows, and their numbers.
            read_options=csv.ReadOptions(use_threads=False, block_size=max(len(content) + 1, 1024)),
            parse_options=csv.ParseOptions(invalid_row_handler=keep),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )
    except pa.ArrowInvalid as problem:
        raise SourceProblem(f"{place} cannot be read as CSV: {problem}") from None
    if twice := [name for name in COLUMNS if table.column_names.count(name) > 1]:
        raise SourceProblem(f"{place} has the column {', '.join(twice)} more than once in its first line")
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise SourceProblem(
            f"{place} lacks the column {', '.join(missing)}: it needs {', '.join(COLUMNS)} in its first line"
        )
    lines = table.select(list(COLUMNS)).rename_columns(list(COLUMNS.values()))
    # The first line of the file has the names. Broken rows are not counted here.
    lines = lines.append_column("line", pa.array([str(each + 2) for each in range(len(lines))], pa.string()))
    others = pa.table(
        {"line": [text for text, _ in broken], "reason": [reason for _, reason in broken]},
        schema=pa.schema([("line", pa.string()), ("reason", pa.string())]),
    )
    return lines, others


def fetch(url: str) -> bytes:
    """Return the content of a file at a path or URL, unpacked by its name (.gz, .xz, .zip, .bz2).

    FileNotFoundError if there is no such file, and SourceProblem if it cannot be read: fsspec raises
    FileNotFoundError also where a server is unreachable (HTTPFileSystem._info in its
    implementations/http.py), and each format of packed files has an error of its own.
    """
    try:
        with fsspec.open(url, "rb", compression="infer") as file:
            content: bytes = file.read()
    except FileNotFoundError as problem:
        cause = problem.__cause__
        if isinstance(cause, (aiohttp.ClientError, TimeoutError)) and getattr(cause, "status", 0) != 404:
            raise SourceProblem(f"{url} cannot be read: {cause}") from None
        raise
    except (
        OSError,
        aiohttp.ClientError,
        EOFError,
        lzma.LZMAError,
        zlib.error,
        zipfile.BadZipFile,
    ) as problem:
        raise SourceProblem(f"{url} cannot be read: {problem or type(problem).__name__}") from None
    return content


def read_day(template: str, day: dt.date) -> Batch:
    """Read the file of one day; {day} in the template is the date. Where there is no file, it is empty."""
    url = template.replace("{day}", day.isoformat())
    try:
        content = fetch(url)
    except FileNotFoundError:
        return Batch(day, RAW.empty_table(), parse(_header(), url)[1])
    return Batch(day, *parse(content, url))


def read_days(url: str, first: dt.date | None = None, last: dt.date | None = None) -> Iterator[Batch]:
    """Read one file that holds many days, and yield each day of it from `first` to `last`, in order.

    Days without a line are yielded too. In the end comes a batch without a day: the rows whose date cannot be
    read, and the broken ones. It is the same whichever days are asked for.
    """
    lines, broken = parse(fetch(url), url)
    date = pc.utf8_slice_codeunits(pc.fill_null(lines["invoiced_at"], ""), 0, 10)
    dates = sorted(each for each in set(date.to_pylist()) if _date(each))
    if not dates:
        raise SourceProblem(f"{url} has no row with a date as 2010-12-01 08:26:00 in InvoiceDate")
    day = max(first, dt.date.fromisoformat(dates[0])) if first else dt.date.fromisoformat(dates[0])
    end = min(last, dt.date.fromisoformat(dates[-1])) if last else dt.date.fromisoformat(dates[-1])
    nothing = broken.slice(0, 0)
    while day <= end:
        yield Batch(day, lines.filter(pc.equal(date, day.isoformat())), nothing)
        day += dt.timedelta(1)
    dated = pc.is_in(date, pa.array(dates))
    yield Batch(None, lines.filter(pc.invert(dated)), broken, len(lines) + len(broken))


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if DATE.fullmatch(text) else None
    except ValueError:
        return None


def _header() -> bytes:
    return (",".join(COLUMNS) + "\n").encode()
