#!/usr/bin/python
"""Ask a PostgreSQL database that somebody else runs whether MLflow can use it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mlflow_database_probe
short_description: Find what keeps a database from being used by MLflow
description:
  - Connects to the database as the server will. So it notices a server that is unreachable, a wrong password,
    a missing database, a right that is missing, and a database with tables of another program.
  - Asks from this computer. Changes nothing.
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  url:
    description: The database's address, like V(postgresql://user:password@host:5432/name).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ask the company's database
  mlflow_database_probe:
    url: "postgresql://mlflow:{{ password }}@db.example:5432/mlflow"
  register: judgement
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each.
  type: list
  elements: str
  returned: always
  sample: ["mlflow_database_url: the database at db.example:5432/mlflow cannot be used: Connection refused"]
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

ARGUMENTS: dict[str, Any] = {"url": {"type": "str", "required": True, "no_log": True}}
WAIT_SECONDS = 10
# MLflow's tables have no schema in their names: PostgreSQL puts them into the first one of the search path.
QUESTION = """
SELECT current_schema(),
       has_schema_privilege(current_schema(), 'CREATE'),
       (SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()),
       (SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'alembic_version'),
       (SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'experiments')
"""


@dataclass(frozen=True)
class Found:
    """What a database says of itself. Without a schema of the search path that exists, there is no right."""

    schema: str | None
    may_create: bool | None
    tables: int
    versions: int  # 1 if there is a table of Alembic, MLflow's tool for schemas
    experiments: int  # 1 if there is a table of this name


def judge(user: str, where: str, found: Found) -> str:
    """Return what is wrong with a database that was reached, or nothing."""
    if not found.may_create:
        return (
            f"the user {user} may not make tables in the database at {where}: make it the owner, or "
            f"GRANT CREATE ON SCHEMA {found.schema or 'public'} TO {user}"
        )
    if found.tables and not (found.versions and found.experiments):
        return f"the database at {where} has tables of another program: make a database for MLflow alone"
    return ""


def problem(url: str) -> str:
    """Return what is wrong with a database, or nothing."""
    import psycopg2

    # SQLAlchemy's name of the driver is no part of PostgreSQL's own addresses.
    address = url.replace("postgresql+psycopg2:", "postgresql:", 1)
    place = urlsplit(address)
    where = f"{place.hostname}:{place.port or 5432}{place.path}"
    try:
        connection = psycopg2.connect(address, connect_timeout=WAIT_SECONDS)
    except psycopg2.Error as error:
        return f"the database at {where} cannot be used: {' '.join(str(error).split())}"
    try:
        with connection.cursor() as cursor:
            cursor.execute(QUESTION)
            return judge(place.username or "", where, Found(*cursor.fetchone()))
    finally:
        connection.close()


def main() -> None:
    """Ask the database and return what is wrong."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wrong = problem(module.params["url"])
    module.exit_json(changed=False, problems=[f"mlflow_database_url: {wrong}"] if wrong else [])


if __name__ == "__main__":
    main()
