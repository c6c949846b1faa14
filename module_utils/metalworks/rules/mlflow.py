"""Rules for MLflow: its database, its files, who uses it, and names and sizes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..common.kubernetes_names import is_label, label_problem
from ..jupyterhub.sizes import storage_problem
from ..mlflow.addresses import database_problem
from .names import unusable_names
from .platform import Platform
from .secrets import weak_secret

SIZES = ("mlflow_size", "mlflow_memory_limit", "mlflow_temporary_size")
# A bucket's name as S3 has it, and a folder in it.
BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.-]+)*")
FOLDER = re.compile(r"/data(/[\w-][\w.-]*)+")
# What the object store calls MLflow's bucket.
OWN_BUCKET = "mlflow"
SHORTEST_SECRET = 32
# What Alembic calls a revision.
SCHEMA = re.compile(r"[0-9a-f]{12}")


def mlflow_database(platform: Platform) -> Iterator[str]:
    """Refuse the address of a database with which the server would not start."""
    if problem := database_problem(platform.values["mlflow_database_url"]):
        yield f"mlflow_database_url: {problem}"
    copied = str(platform.values["mlflow_database_copied"])
    if copied and not SCHEMA.fullmatch(copied):
        yield (
            f"mlflow_database_copied is {copied!r}: write the schema that the server names when it stops, "
            "which has 12 of the digits 0-9 and a-f"
        )


def mlflow_servers(platform: Platform) -> Iterator[str]:
    """Refuse several servers that would not share one database and one place for files."""
    replicas = int(platform.values["mlflow_replicas"])
    if replicas < 1:
        yield f"mlflow_replicas is {replicas}: write 1, or take mlflow out of metalworks_parts"
    if replicas > 1:
        if str(platform.values["mlflow_database_url"]).startswith("sqlite:"):
            yield (
                f"mlflow_replicas is {replicas}, and a database in a file has one server: write 1, or name a "
                "database of PostgreSQL in mlflow_database_url"
            )
        if not str(platform.values["mlflow_artifacts"]).startswith("s3://"):
            yield (
                f"mlflow_replicas is {replicas}, and a folder of one server holds the files: write 1, or "
                "name a bucket in mlflow_artifacts, like s3://mlflow/artifacts"
            )


def mlflow_files(platform: Platform) -> Iterator[str]:
    """Refuse a place for files that is not there."""
    place = str(platform.values["mlflow_artifacts"])
    if place.startswith("s3://"):
        bucket = platform.values["object_store_buckets"].get(OWN_BUCKET, OWN_BUCKET)
        if not BUCKET.fullmatch(place):
            yield f"mlflow_artifacts is {place!r}: write a bucket and a folder, like s3://mlflow/artifacts"
        elif not platform.has_part("object_store"):
            yield (
                "mlflow_artifacts is in the object store, which metalworks_parts leaves out: add "
                "object_store (its object_store_endpoint may be a store that you have), or write a folder of "
                "the server's volume, like /data/artifacts"
            )
        elif urlsplit(place).netloc != bucket:
            yield (
                f"mlflow_artifacts is {place!r}, and MLflow's key is for the bucket {bucket}: write "
                f"s3://{bucket}/artifacts, or name another bucket as object_store_buckets.{OWN_BUCKET}"
            )
    elif not FOLDER.fullmatch(place):
        yield (
            f"mlflow_artifacts is {place!r}: write a bucket, like s3://mlflow/artifacts, or a folder of the "
            "server's volume, like /data/artifacts"
        )


def mlflow_users(platform: Platform) -> Iterator[str]:
    """Refuse a server that nobody reaches, and programs and groups whose names cannot be told apart."""
    programs = platform.values["mlflow_programs"]
    if not platform.has_part("door") and not programs:
        yield (
            "nobody would reach MLflow: metalworks_parts leaves out the door, through which people come, and "
            "mlflow_programs names no program; add door"
        )
    names = [str(program.get("name", "")) for program in programs]
    for name, count in Counter(names).items():
        if not is_label(name):
            yield f"mlflow_programs, name: {label_problem(name, 'trainer')}"
        if count > 1:
            yield f"mlflow_programs lists {name!r} {count} times: give each program a name of its own"
    deployers = str(platform.values["mlflow_deployers"])
    if not deployers.strip() or "," in deployers:
        yield f"mlflow_deployers is {deployers!r}: write the name of one group of the hub, like deployers"
    for alias in platform.values["mlflow_protected_aliases"]:
        if not re.fullmatch(r"[\w.-]+", str(alias)):
            yield f"mlflow_protected_aliases has {alias!r}: an alias is letters, digits, '_', '-' and '.'"


def mlflow_names(platform: Platform) -> Iterator[str]:
    """Refuse names and sizes that Kubernetes does not accept, and a secret that can be guessed."""
    yield from unusable_names(platform, {"mlflow_namespace": "mlflow"}, "mlflow_storage_class")
    for name in SIZES:
        if problem := storage_problem(platform.values[name]):
            yield f"{name}: {problem}"
    name = "mlflow_door_secret"
    if platform.gives(name) and (problem := weak_secret(platform.values[name], SHORTEST_SECRET)):
        yield f"{name} {problem}, or take the line out"


PART = "mlflow"
