"""Bring the database to the schema of this MLflow, with a copy before.

MLflow's own server refuses an old schema, or migrates one that lacks a table without a word and without a
copy. So this is done before the server opens its stores.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mlflow.store.db.utils import (
    _get_latest_schema_revision,
    _get_schema_version,
    _initialize_tables,
    _upgrade_db,
    create_sqlalchemy_engine_with_retry,
)
from sqlalchemy import inspect, text

KEPT = 3  # copies
LOCK = 0x6D6C666C6F77  # any number, the same for all servers of a database


def bring_up_to_date(url: str) -> str:
    """Make or migrate the tables where that is needed, and return a sentence about it."""
    engine = create_sqlalchemy_engine_with_retry(url)
    try:
        with alone(engine):
            if not inspect(engine).get_table_names():
                _initialize_tables(engine)
                return "The database was empty, and has its tables now."
            found, wanted = _get_schema_version(engine), _get_latest_schema_revision()
            if found == wanted:
                return f"The database has the schema {wanted}."
            copied = copy(url, str(found))
            _upgrade_db(engine)
            return f"The database was brought from the schema {found} to {wanted}. {copied}"
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


def copy(url: str, revision: str) -> str:
    """Copy a SQLite database beside itself, and keep the newest copies."""
    if not url.startswith("sqlite:///"):
        return "No copy was made here: for PostgreSQL, pg_dump makes one before an upgrade."
    path = Path(url.removeprefix("sqlite:///"))
    target = path.with_name(f"{path.name}.before-{revision}")
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(unfinished)) as destination:
        source.backup(destination)
        (state,) = destination.execute("PRAGMA integrity_check").fetchone()
    if state != "ok":
        raise RuntimeError(f"the copy of {path} is not whole ({state}), so nothing was migrated")
    unfinished.replace(target)
    copies = sorted(path.parent.glob(f"{path.name}.before-*"), key=lambda each: each.stat().st_mtime)
    for old in copies[:-KEPT]:
        old.unlink()
    return f"The copy of before is {target}."
