"""Bring the database to the schema of this MLflow, with a copy before.

MLflow's own server refuses an old schema, or migrates one that lacks a table without a word and without a
copy. So this is done before the server opens its stores. A file of SQLite is copied here. A database of
PostgreSQL is copied by whoever runs it, so it is left as it is until somebody says that this was done.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

from mlflow.store.db.utils import (
    _get_latest_schema_revision,
    _get_schema_version,
    _initialize_tables,
    _upgrade_db,
    create_sqlalchemy_engine_with_retry,
)
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

KEPT = 3  # copies, besides the first of the schema that is being left
WAIT_SECONDS = 30  # for a database that is just being started
LOCK = 0x6D6C666C6F77  # any number, the same for all servers of a database


class DatabaseProblem(Exception):
    """The database cannot be used as it is; the message is a sentence for the operator."""


def wait_for(url: str) -> None:
    """Wait a little until a database of PostgreSQL answers. DatabaseProblem says why it does not.

    MLflow itself would try for minutes, also with a wrong password.
    """
    place = make_url(url)
    if place.get_backend_name() != "postgresql":
        return
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 10})
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            with engine.connect():
                return
        except OperationalError as error:
            if time.monotonic() > end:
                reason = " ".join(str(error.orig).split())
                where = f"{place.host}:{place.port or 5432}/{place.database}"
                raise DatabaseProblem(f"The database at {where} cannot be used: {reason}") from error
        time.sleep(2)


def bring_up_to_date(url: str, copied: str = "") -> str:
    """Make or migrate the tables where that is needed, and return a sentence about it.

    `copied` is the schema of which the operator has a copy. DatabaseProblem if PostgreSQL would have to be
    migrated from another one.
    """
    wait_for(url)
    engine = create_sqlalchemy_engine_with_retry(url)
    try:
        with alone(engine):
            if not inspect(engine).get_table_names():
                _initialize_tables(engine)
                return "The database was empty, and has its tables now."
            found, wanted = _get_schema_version(engine), _get_latest_schema_revision()
            if found == wanted:
                return f"The database has the schema {wanted}."
            if engine.dialect.name == "sqlite":
                place = f"The copy of before is {copy(url, str(found))}."
            elif found == copied:
                place = "The copy of before is the operator's."
            else:
                raise DatabaseProblem(
                    f"The database has the schema {found}, and this version of MLflow needs {wanted}. "
                    "Nothing was changed. Make a copy of the database, then write "
                    f"mlflow_database_copied: {found}"
                )
            _upgrade_db(engine)
            return f"The database was brought from the schema {found} to {wanted}. {place}"
    finally:
        engine.dispose()


@contextmanager
def alone(engine: Any) -> Iterator[None]:
    """Let no other server of a PostgreSQL database do the same now. A file of SQLite has one server."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})


def copy(url: str, revision: str) -> Path:
    """Copy a SQLite database beside itself, keep the newest copies, and return where this one is.

    The first copy of a schema stays in any case: where a migration broke off, the database is half changed
    and still says the old schema, so that the next start copies what is no longer whole.
    """
    path = Path(url.removeprefix("sqlite:///"))
    first = path.with_name(f"{path.name}.before-{revision}")
    numbered = (first.with_name(f"{first.name}-{number}") for number in count(2))
    target = next(each for each in chain([first], numbered) if not each.exists())
    unfinished = first.with_name(f"{first.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(unfinished)) as destination:
        source.backup(destination)
        (state,) = destination.execute("PRAGMA integrity_check").fetchone()
    if state != "ok":
        raise RuntimeError(f"the copy of {path} is not whole ({state}), so nothing was migrated")
    unfinished.replace(target)
    copies = sorted(path.parent.glob(f"{path.name}.before-*"), key=lambda each: each.stat().st_mtime)
    for old in copies[:-KEPT]:
        if old != first:
            old.unlink()
    return target
