"""A database of an older MLflow is copied and brought up to date; a damaged one is left as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# A database as an older MLflow left it, with a run in it.
OLDER = """
import json, sqlite3
from pathlib import Path
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine_with_retry
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import text
from metalworks_mlflow.migrate import DatabaseProblem, bring_up_to_date
engine = create_sqlalchemy_engine_with_retry(url)
Base.metadata.create_all(engine)
config = _get_alembic_config(url)
revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
with engine.begin() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, revisions[STEPS])
    columns = "experiment_id, name, lifecycle_stage"
    connection.execute(text(f"INSERT INTO experiments ({columns}) VALUES (7, 'kept', 'active')"))
engine.dispose()
"""
MIGRATED = """
said = [bring_up_to_date(url), bring_up_to_date(url)]
def look(path):
    with sqlite3.connect(path) as db:
        names = [row[0] for row in db.execute("SELECT name FROM experiments")]
        return names, db.execute("SELECT version_num FROM alembic_version").fetchone()[0]
copies = sorted(path.name for path in folder.iterdir() if path.name != "mlflow.db")
result = {"said": said, "now": look(folder / "mlflow.db"), "copies": copies, "wanted": revisions[0]}
if copies:
    result["before"] = look(folder / copies[0])
result["old"] = revisions[STEPS]
print(json.dumps(result))
"""


def program(folder: Any, name: str, steps: int, rest: str) -> str:
    """Return a program that makes an older database in a folder, and goes on with the rest."""
    place = Path(folder, name)
    place.mkdir()
    url = f"sqlite:///{place}/mlflow.db"
    return f"STEPS, url = {steps}, {url!r}\n{OLDER}\nfolder = Path({str(place)!r})\n{rest}"


def test_an_older_database_is_copied_and_migrated(folder: Any, ask_python: Callable[..., Any]) -> None:
    found = ask_python(program(folder, "older", 3, MIGRATED))
    assert f"from the schema {found['old']} to {found['wanted']}" in found["said"][0]
    assert found["said"][1] == f"The database has the schema {found['wanted']}."
    assert found["now"] == [["kept"], found["wanted"]]
    assert found["copies"] == [f"mlflow.db.before-{found['old']}"]
    assert found["before"] == [["kept"], found["old"]], "the copy is the database of before"


DAMAGED = """
import metalworks_mlflow.migrate as migrate
def fail(engine):
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS experiments"))
    raise RuntimeError("half of a migration")
migrate._upgrade_db = fail
said = []
for _ in range(STARTS):
    try:
        said.append(bring_up_to_date(url))
    except RuntimeError as error:
        said.append(str(error))
first, *others = sorted(folder.glob("*.before-*"), key=lambda each: each.stat().st_mtime)
with sqlite3.connect(first) as db:
    kept = db.execute("SELECT name FROM experiments").fetchall()
print(json.dumps([said, first.name, revisions[STEPS], len(others), kept]))
"""


# Whatever ends the server in the middle of a migration, the kubelet starts it again, with a database that is
# half changed and still has the old schema's name.
@pytest.mark.parametrize("starts", [1, 2, 7])
def test_a_migration_that_fails_ends_the_start_and_leaves_the_first_copy(
    folder: Any, ask_python: Callable[..., Any], starts: int
) -> None:
    steps = f"STARTS = {starts}\n{DAMAGED}"
    said, first, old, others, kept = ask_python(program(folder, f"failing{starts}", 2, steps))
    assert said == ["half of a migration"] * starts
    assert kept == [["kept"]], "the first copy is whole"
    assert first == f"mlflow.db.before-{old}", "and has no number"
    assert others == min(starts - 1, 3)


NEW = """
import json
from pathlib import Path
from metalworks_mlflow.migrate import bring_up_to_date
folder = Path(FOLDER) / "new"
folder.mkdir()
url = f"sqlite:///{folder}/mlflow.db"
said = [bring_up_to_date(url), bring_up_to_date(url)[:26]]
print(json.dumps([*said, sorted(each.name for each in folder.iterdir())]))
"""


def test_a_new_database_gets_its_tables_and_no_copy(folder: Any, ask_python: Callable[..., Any]) -> None:
    first, second, files = ask_python(f"FOLDER = {str(folder)!r}\n{NEW}")
    assert first == "The database was empty, and has its tables now."
    assert second == "The database has the schem"
    assert files == ["mlflow.db"]
