"""Debian's PostgreSQL as the database: it is made, refused, copied and migrated."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.mlflow.conftest import image
from tests.mlflow.test_migrate import OLDER
from tests.support.modules import run_module
from tests.support.servers import free_port
from tests.support.waiting import wait_for

CONTEXT = Path(__file__).parent / "postgresql"
PASSWORD = "of/the@database"


@dataclass
class Server:
    """A server of PostgreSQL in a container."""

    container: str
    port: int

    def psql(self, statement: str, database: str = "postgres") -> str:
        """Return what a statement of the superuser answers, without titles."""
        options = ["--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        return self.run("psql", *options, f"--dbname={database}", f"--command={statement}").decode().strip()

    def run(self, *command: str, content: bytes = b"") -> bytes:
        """Run a command beside the server."""
        inside = ["docker", "exec", "--interactive", f"--env=PGPORT={self.port}", self.container, *command]
        done = subprocess.run(inside, input=content, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def url(self, database: str = "mlflow", user: str = "mlflow", password: str = PASSWORD) -> str:
        """Return the address of a database, as an inventory has it."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def new(self) -> str:
        """Make an empty database, and return its name."""
        name = f"d{uuid.uuid4().hex[:12]}"
        self.psql(f"CREATE DATABASE {name} OWNER mlflow")
        return name


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    port, name = free_port(), f"metalworks-test-postgresql-{uuid.uuid4().hex[:8]}"
    options = ["--rm", "--detach", "--network=host", "--tmpfs=/data:mode=1777", f"--name={name}"]
    variables = [f"--env=PORT={port}", f"--env=MLFLOW_PASSWORD={PASSWORD}"]
    begin = ["docker", "run", *options, *variables, image("postgresql", "15", CONTEXT)]
    subprocess.run(begin, check=True, capture_output=True)
    made = Server(name, port)

    def answers() -> bool:
        ready = ["docker", "exec", name, "pg_isready", "--host=127.0.0.1", f"--port={port}"]
        return subprocess.run(ready, capture_output=True, check=False).returncode == 0

    try:
        wait_for(answers, "PostgreSQL does not start", 120)
        yield made
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


AskPython = Callable[..., Any]


def known(url: str) -> str:
    """Return the beginning of a program that knows a database as the server does."""
    return f"from metalworks_mlflow.settings import with_driver\nurl = with_driver({url!r})"


TWO_AT_ONCE = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from metalworks_mlflow.migrate import bring_up_to_date
with ThreadPoolExecutor() as pool:
    said = list(pool.map(bring_up_to_date, [url, url]))
print(json.dumps(sorted(each[:26] for each in said)))
"""


def test_of_two_servers_one_makes_the_tables(server: Server, ask_python: AskPython) -> None:
    said = ask_python(f"{known(server.url(server.new()))}\n{TWO_AT_ONCE}")
    assert said == ["The database has the schem", "The database was empty, an"]


REFUSED = """
def version():
    with engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
found = version()
said = []
for copied in ("", "another", found):
    try:
        said.append(bring_up_to_date(url, copied))
    except DatabaseProblem as problem:
        said.append(str(problem))
        assert version() == found
print(json.dumps({"old": found, "new": version(), "wanted": revisions[0], "said": said}))
"""


def test_an_older_database_is_migrated_only_after_a_copy(server: Server, ask_python: AskPython) -> None:
    name, restored = server.new(), server.new()
    older = f"{known(server.url(name))}\nSTEPS = 3\n{OLDER}"
    ask_python(f"{older}\nprint(json.dumps(None))")
    # As docs/how-to/mlflow.md says.
    copied = server.run("pg_dump", "--format=custom", name)

    found = ask_python(older.partition("Base.metadata")[0] + REVISIONS + REFUSED)
    for refusal in found["said"][:2]:
        assert f"has the schema {found['old']}" in refusal
        assert f"write mlflow_database_copied: {found['old']}" in refusal
    assert "was brought from the schema" in found["said"][2]
    assert found["new"] == found["wanted"] != found["old"]
    assert server.psql("SELECT name FROM experiments", name) == "kept"

    server.run("pg_restore", "--exit-on-error", f"--dbname={restored}", content=copied)
    assert server.psql("SELECT version_num FROM alembic_version", restored) == found["old"]
    assert server.psql("SELECT name FROM experiments", restored) == "kept"


REVISIONS = """
config = _get_alembic_config(url)
revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
"""
# What the server says when it starts, without its patience.
START = """
import json
import metalworks_mlflow.migrate as migrate
migrate.WAIT_SECONDS = 0
try:
    said = migrate.bring_up_to_date(url)
except migrate.DatabaseProblem as problem:
    said = str(problem)
print(json.dumps(said))
"""


def test_a_database_that_cannot_be_used_is_explained(
    server: Server, ask_python: AskPython, capsys: pytest.CaptureFixture[str]
) -> None:
    for url, reason in (
        (server.url(password="guessed-it"), 'password authentication failed for user "mlflow"'),
        (server.url("nothing"), 'database "nothing" does not exist'),
        (f"postgresql://mlflow:guessed-it@127.0.0.1:{free_port()}/mlflow", "Connection refused"),
        ("postgresql+psycopg2://mlflow:guessed-it@nowhere.invalid/mlflow", "nowhere.invalid"),
    ):
        said = ask_python(f"{known(url)}\n{START}")
        (problem,) = run_module("mlflow_database_probe", {"url": url}, capsys)["problems"]
        for sentence in (said, problem):
            assert "cannot be used" in sentence
            assert reason in sentence
            assert "guessed-it" not in sentence and quote(PASSWORD, safe="") not in sentence


def test_the_probe_judges_rights_and_tables(
    server: Server, ask_python: AskPython, capsys: pytest.CaptureFixture[str]
) -> None:
    def problems(url: str) -> list[str]:
        answer = run_module("mlflow_database_probe", {"url": url}, capsys)
        assert not answer["failed"] and not answer["changed"]
        return list(answer["problems"])

    name = server.new()
    assert problems(server.url(name)) == []
    server.psql("CREATE ROLE reader LOGIN PASSWORD 'reads'")
    (problem,) = problems(server.url(name, "reader", "reads"))
    assert "the user reader may not make tables" in problem
    assert "GRANT CREATE ON SCHEMA public TO reader" in problem

    ask_python(f"{known(server.url(name))}\n{START}")
    assert problems(server.url(name)) == [], "MLflow's own tables"
    other = server.new()
    server.psql("CREATE TABLE orders (id integer)", other)
    (problem,) = problems(server.url(other))
    assert "has tables of another program: make a database for MLflow alone" in problem


def test_the_password_is_in_no_answer_of_the_module(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = run_module("mlflow_database_probe", {"url": server.url()}, capsys)
    assert quote(PASSWORD, safe="") not in json.dumps(answer)
