"""The settings of every part, from the environment: METALWORKS_MODEL_ and the name in capitals."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

PREFIX = "METALWORKS_MODEL_"

Port = Annotated[int, Meta(ge=1, le=65535)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Name = Annotated[str, Meta(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
Url = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*://.+")]
Kind = Literal["recommender", "anomalies"]
Source = Literal["invoices", "shop"]
Version = Annotated[str, Meta(pattern=r"^[0-9]*$")]


class SettingsProblem(ValueError):
    """A setting that is missing, misspelt or out of its bounds; the message names it and says what fits."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator sets. Times are in seconds and sizes in bytes where nothing else is said."""

    kind: Kind = "recommender"

    # Data: fsspec's URLs, as s3://bucket/prefix. A key of S3 comes from the variables that s3fs reads.
    data_url: Url = "file:///data"
    source: Source = "invoices"
    """Which source a run of the ingestion takes over: invoices, or the shop's own purchases."""
    source_url: str = ""
    """Where the source is: a file, or an address with {day} in it that is one file for each day."""
    showings_url: str = ""
    """What the shop showed and what was bought then; an address with {day} in it."""
    quarantine_bound: Share = 0.05
    """A day with a larger share of bad rows is refused as a whole: its source is broken."""
    volume_bound: Annotated[float, Meta(gt=1)] = 20.0
    """A day with this many times the usual rows is refused."""

    # Training
    model: Name = "recommender"
    half_life: Annotated[float, Meta(gt=0)] = 80.0
    regularisation: Annotated[float, Meta(gt=0)] = 100.0
    period: Count = 7
    neighbours: Count = 100
    trend: Annotated[float, Meta(ge=0)] = 0.8
    frequency_share: Share = 0.6
    judged_days: Count = 28
    """How many of the newest days judge a candidate; it learns from those before."""
    threads: Count = 1
    """Threads of the linear algebra. The same number gives the same bits."""
    dask_scheduler: str = ""
    """The address of a Dask scheduler, as tcp://dask:8786; empty: one process trains."""
    workers: Annotated[int, Meta(ge=0)] = 0
    """How many workers the training waits for, whose scheduler it is itself, at the address above."""
    workers_timeout: Seconds = 600.0
    seed: int = 0

    # The registry: MLflow's address, or a folder as file:///models.
    registry_url: Url = "file:///models"
    registry_token_file: str = ""
    champion: Name = "champion"
    candidate: Annotated[str, Meta(pattern=r"^([a-z]([-a-z0-9]{0,61}[a-z0-9])?)?$")] = "candidate"
    """Empty: no candidate answers, whoever sets one in the registry."""
    model_version: Version = ""
    """Serves this version, whatever the aliases say."""
    requirements: str = ""
    """The requirements.txt of MLflow that this image was built for. Versions with another one are refused."""
    fallback_version: Version = ""
    """The version that the image was built for: a new server has it where it has to refuse the champion."""

    # Serving
    host: str = ""
    """The address to listen on; empty: every address, of both families."""
    port: Port = 8080
    poll_every: Seconds = 5.0
    queue: Count = 32
    """Requests that may wait for an answer; one more is answered with 429."""
    body_bound: Count = 1_048_576
    idle_timeout: Seconds = 75.0
    grace: Annotated[float, Meta(ge=0)] = 20.0
    """How long requests that are being answered may take after SIGTERM."""
    linger: Annotated[float, Meta(ge=0)] = 2.0
    """How long connections are still taken after SIGTERM: other nodes learn of the end a little later."""
    cache_dir: str = "/tmp/models"
    """Where versions are kept, so that a restart needs neither registry nor store."""
    access_log: bool = True

    # The shop
    server_url: Url = "http://model:8080"
    shop_port: Port = 8081
    events_dir: str = "/data/events"
    """Where the shop keeps what it showed and sold, a file for each day."""

    # Watching
    watch_port: Port = 9090
    watch_every: Seconds = 60.0
    reference_days: Count = 28
    recent_days: Count = 7
    drift_bound: Annotated[float, Meta(gt=0)] = 0.25
    """The population stability index from which on inputs count as drifted."""
    drift_rows: Count = 2000
    """Fewer rows say nothing about drift: the noise of small samples is larger than the bound."""
    retrain_cronjob: str = ""
    """The CronJob whose Job is started when drift asks for a retraining; empty: drift is only shown."""
    cool_down: Seconds = 86_400.0
    """At least this long lies between two retrainings that drift asks for."""

    # The canary: a candidate with a share of the customers
    servers_url: str = ""
    """Where the model servers are, by a name that has the address of each; empty: no candidate is judged."""
    canary_least: Count = 100
    """Fewer answers, or customers, of the candidate or the champion say nothing."""
    canary_error_margin: Share = 0.01
    """By how much the candidate's share of errors may be larger than the champion's."""
    canary_slow_margin: Share = 0.05
    """By how much its share of answers may be larger that are slower than 95 % of the champion's."""
    canary_hit_margin: Share = 0.1
    """By which part its hit rate may be smaller than the champion's."""
    canary_risk: Annotated[float, Meta(gt=0, lt=0.5)] = 0.05
    """How likely a candidate beyond a margin may be promoted, however often it is looked at."""
    canary_duration: Seconds = 604_800.0
    """The look at this time has half of the risk. A canary that is undecided then goes on, which is told."""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ, **given: object) -> Settings:
        """Read them; `given` overrides the environment. SettingsProblem for a wrong name or value."""
        names = {field.name for field in msgspec.structs.fields(cls)}
        found: dict[str, object] = {}
        for variable, value in environment.items():
            if not variable.startswith(PREFIX):
                continue
            name = variable.removeprefix(PREFIX).lower()
            if name not in names:
                raise SettingsProblem(f"{variable} is not a setting{_nearest(name, names)}")
            found[name] = value
        found.update({name: value for name, value in given.items() if value is not None})
        try:
            return msgspec.convert(found, cls, strict=False)
        except msgspec.ValidationError as problem:
            raise SettingsProblem(_explained(str(problem))) from None


def _nearest(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f": did you mean {PREFIX}{near[0].upper()}?" if near else ""


def _explained(problem: str) -> str:
    """Turn msgspec's "Expected `int` - at `$.port`" into a sentence with the name of the variable."""
    what, _, where = problem.partition(" - at `$.")
    return f"{PREFIX}{where.rstrip('`').upper()}: {what[0].lower()}{what[1:]}" if where else problem
