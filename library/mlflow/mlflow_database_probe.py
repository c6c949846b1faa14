#!/usr/bin/python
"""Ask a PostgreSQL database that somebody else runs whether MLflow can use it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mlflow_database_probe
short_description: Find what keeps a database from being used by MLflow
description:
  - Connects to the database as the server will. So it notices a server that is unreachable, a wrong password,
    a missing database, a right that is missing, and a database with tables of another program.
  - Asks from this computer. A database that is named by a Service of the cluster (C(NAME.NAMESPACE.svc)) is
    asked through the cluster's API. Changes nothing.
author: Metalworks
extends_documentation_fragment: [kubernetes_api, reads_only]
options:
  url:
    description: The database's address, like V(postgresql://user:password@host:5432/name).
    type: str
    no_log: true
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

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from ansible.module_utils.metalworks.mlflow.addresses import service_of

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
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


class Unreachable(Exception):
    """The Service that an address names leads nowhere; the message says why."""


@contextmanager
def way_through(api: KubernetesApi, namespace: str, name: str, port: int) -> Iterator[dict[str, Any]]:
    """Yield where a Service's port is reached from here, in libpq's words. Unreachable says why not."""
    where = f"the Service {name} in the namespace {namespace}"
    found = api.find(f"/api/v1/namespaces/{namespace}/services/{name}")
    if found is None:
        raise Unreachable(f"the cluster does not have {where}")
    ports = {each["port"]: each.get("targetPort", each["port"]) for each in found["spec"].get("ports") or []}
    if port not in ports:
        raise Unreachable(f"{where} has no port {port}, but {', '.join(map(str, ports)) or 'none'}")
    labels = found["spec"].get("selector") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    try:
        with forwarded(api, namespace, selector, number_of(api, namespace, selector, ports[port])) as address:
            host, _, local = address.partition(":")
            yield {"hostaddr": host, "port": int(local)}
    except ApiError as error:
        raise Unreachable(f"{where} leads nowhere: {error}") from error


def number_of(api: KubernetesApi, namespace: str, selector: str, port: int | str) -> int:
    """Return a port of pods as a number. A Service may have its name, which each pod knows."""
    if str(port).isdigit():
        return int(port)
    for pod in api.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)["items"]:
        for container in pod["spec"]["containers"]:
            for each in container.get("ports") or []:
                if each.get("name") == port:
                    return int(each["containerPort"])
    raise ApiError(f"no pod with {selector} in the namespace {namespace} has a port called {port}")


def problem(url: str, way: dict[str, Any]) -> str:
    """Return what is wrong with a database, or nothing. `way` says where it is reached, unless `url` does."""
    import psycopg2

    # SQLAlchemy's name of the driver is no part of PostgreSQL's own addresses.
    address = url.replace("postgresql+psycopg2:", "postgresql:", 1)
    place = urlsplit(address)
    where = f"{place.hostname}:{place.port or 5432}{place.path}"
    try:
        connection = psycopg2.connect(address, connect_timeout=WAIT_SECONDS, **way)
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
    url, service = module.params["url"], service_of(module.params["url"])
    try:
        if service:
            api = KubernetesApi(module.params["kubeconfig"], module.params["context"])
            namespace, name = service
            with way_through(api, namespace, name, urlsplit(url).port or 5432) as way:
                wrong = problem(url, way)
        else:
            wrong = problem(url, {})
    except ApiError as error:
        wrong = f"the cluster cannot be asked: {error}"
    except Unreachable as error:
        wrong = str(error)
    module.exit_json(changed=False, problems=[f"mlflow_database_url: {wrong}"] if wrong else [])


if __name__ == "__main__":
    main()
