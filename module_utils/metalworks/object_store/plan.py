"""What has to be done so that the buckets are as wanted. Nothing is asked or changed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .rights import written


@dataclass(frozen=True)
class Bucket:
    """A bucket as it is or as it should be."""

    name: str
    versioned: bool = False
    policy: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Upload:
    """An unfinished upload: its parts take room, and no list of objects shows them."""

    bucket: str
    key: str
    identity: str
    began: datetime


@dataclass(frozen=True)
class Step:
    """One thing to do: `create`, `version`, `suspend`, `allow`, `forbid` or `abort`."""

    what: str
    bucket: str
    policy: str = ""
    upload: Upload | None = None

    @property
    def sentence(self) -> str:
        """Return the step for people."""
        return {
            "create": f"make the bucket {self.bucket}",
            "version": f"keep former versions of the objects in {self.bucket}",
            "suspend": f"keep no further versions of the objects in {self.bucket}",
            "allow": f"set the rights in {self.bucket}",
            "forbid": f"take all rights in {self.bucket} away",
            "abort": f"drop an upload to {self.bucket} that was not finished",
        }[self.what]


@dataclass(frozen=True)
class Found:
    """What is there: the wanted buckets that exist, and unfinished uploads in them."""

    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    uploads: Sequence[Upload] = ()


def plan(wanted: Iterable[Bucket], found: Found, keep_uploads_days: int, now: datetime) -> list[Step]:
    """Return the steps, in the order in which they are done. Buckets that are not wanted are left alone."""
    steps: list[Step] = []
    for bucket in wanted:
        there = found.buckets.get(bucket.name)
        if there is None:
            steps.append(Step("create", bucket.name))
        had = there or Bucket(bucket.name)
        if bucket.versioned != had.versioned:
            steps.append(Step("version" if bucket.versioned else "suspend", bucket.name))
        if written_policy(bucket) != written_policy(had):
            text = written_policy(bucket)
            steps.append(Step("allow" if text else "forbid", bucket.name, text))
    oldest = now - timedelta(days=keep_uploads_days)
    return [
        *steps,
        *(Step("abort", each.bucket, upload=each) for each in found.uploads if each.began < oldest),
    ]


def written_policy(bucket: Bucket) -> str:
    """Return a bucket's policy as text, to compare it; empty if it has none."""
    return written(dict(bucket.policy) if bucket.policy else None)
