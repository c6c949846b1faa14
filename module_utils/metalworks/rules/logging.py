"""Rules for the logs: sizes and times, names, logins, and where else they are sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..common.addresses import web_place
from .names import unusable_names
from .platform import Platform
from .secrets import weak_secret
from .sizes import unusable_sizes

# What each needs at the least, in MiB: the store drops whole days, Go's programs do not start in less, and a
# buffer is one file at the least (DefaultChunkFileSize of VictoriaMetrics' persistentqueue).
LEAST = {
    "logging_size": 256,
    "logging_reserve": 16,
    "logging_memory_limit": 128,
    "logging_collector_memory_limit": 64,
    "logging_collector_buffer": 512,
}
SECRETS = {"logging_reader_password": 16, "logging_writer_password": 16, "logging_door_secret": 32}


def logging_sizes(platform: Platform) -> Iterator[str]:
    """Refuse sizes that are none or too small, and a time of less than a day."""
    yield from unusable_sizes(platform, LEAST)
    if int(platform.values["logging_days"]) < 1:
        yield f"logging_days is {platform.values['logging_days']}: write 1 or more"


def logging_names(platform: Platform) -> Iterator[str]:
    """Refuse names that Kubernetes does not accept, and logins that can be guessed or break an address."""
    yield from unusable_names(platform, {"logging_namespace": "logging"}, "logging_storage_class")
    for name, least in SECRETS.items():
        if platform.gives(name) and (problem := weak_secret(platform.values[name], least)):
            yield f"{name} {problem}, or take the line out"


def logging_destinations(platform: Platform) -> Iterator[str]:
    """Refuse destinations that the collectors cannot send to."""
    for each in platform.values["logging_also_to"]:
        url = str(each.get("url", ""))
        if re.match(r"https?://[^/]*@", url):
            yield (
                "logging_also_to, url: it holds a login, which everybody on the nodes could read in the "
                "collector's command line: write the address of a program that logs in there, like Fluent Bit"
            )
        elif not re.fullmatch(r"https?://[^\s/?#]+(/\S*)?", url) or web_place(url) is None:
            yield (
                f"logging_also_to, url: {url!r} is no address: write one like "
                "http://fluent-bit.other.svc.cluster.local:8888/"
            )
        elif each.get("format") == "jsonline" and not urlsplit(url).path:
            yield (
                f"logging_also_to, url: {url} has no path, and jsonline is sent to exactly this address: "
                f"write {url}/, or the path of the program there"
            )


PART = "logging"
