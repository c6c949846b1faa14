"""Rules for what watches the platform: its volume, and who is told of alerts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..common.addresses import parse_host_port, web_place
from ..common.suggestions import did_you_mean
from ..jupyterhub.values import value_at
from ..monitoring.receivers import SEVERITIES
from .names import unusable_names
from .platform import Platform
from .sizes import unusable_sizes

# What each needs at the least, in MiB: Prometheus requests that memory, and its log alone may take the disk.
LEAST = {"monitoring_size": 512, "monitoring_memory_limit": 192}
# As Prometheus writes it: each unit once, the longest first.
TIME = re.compile(r"(?=.)([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?")
# Alerts about what does not answer (files/monitoring) look back 20 s, which is a scrape and some seconds. A
# scrape may take 7 s (roles/monitoring/vars), and Prometheus takes no shorter interval than that.
SCRAPE = re.compile(r"([7-9]|1[0-5])s")
# What each kind of receiver cannot do without.
NEEDED = {"email": ("to", "from", "smarthost"), "slack": ("url",), "webhook": ("url",)}


def monitoring_volume(platform: Platform) -> Iterator[str]:
    """Refuse sizes, times and names that Prometheus or Kubernetes do not take."""
    yield from unusable_sizes(platform, LEAST)
    retention = str(platform.values["monitoring_retention"])
    if not TIME.fullmatch(retention):
        yield f"monitoring_retention is {retention!r}: write a time of Prometheus, like 15d or 12h"
    yield from unusable_names(platform, {"monitoring_namespace": "monitoring"}, "monitoring_storage_class")


def monitoring_receivers(platform: Platform) -> Iterator[str]:
    """Refuse receivers that Alertmanager would not take, and those that nothing reaches."""
    for number, receiver in enumerate(platform.values["monitoring_receivers"], 1):
        kind = receiver.get("type")
        place = f"monitoring_receivers, entry {number}"
        for key in NEEDED.get(kind, ()):
            if not receiver.get(key):
                yield f"{place} is of type {kind} and has no {key}: write it"
        if bool(receiver.get("username")) != bool(receiver.get("password")):
            yield f"{place} has one of username and password: write both, or none for a server without login"
        if receiver.get("without_tls") and receiver.get("username"):
            yield f"{place} has username and without_tls: no password is sent in clear; take one of them out"
        if kind in ("slack", "webhook") and receiver.get("url") and not is_address(receiver["url"]):
            yield f"{place}: its url is no address: write one that begins with https:// or http://"
        server = parse_host_port(receiver.get("smarthost"))
        if kind == "email" and receiver.get("smarthost") and (server is None or server.port is None):
            yield (
                f"{place}: its smarthost is {receiver['smarthost']!r}: write the mail server with its port, "
                "like mail.example:587"
            )
        for severity in receiver.get("severities") or ():
            if severity not in SEVERITIES:
                hint = did_you_mean(severity, SEVERITIES)
                yield f"{place} names the severity {severity!r}{hint}: write some of {', '.join(SEVERITIES)}"


def monitoring_addresses(platform: Platform) -> Iterator[str]:
    """Refuse addresses that cannot be opened."""
    for name in ("monitoring_url", "monitoring_watchdog_url"):
        value = str(platform.values[name])
        if value and not is_address(value):
            yield f"{name} is no address: write one that begins with https:// or http://"


def is_address(url: object) -> bool:
    """Tell whether Alertmanager can open an address. A login may stand in it."""
    return web_place(re.sub(r"//[^/@]*@", "//", str(url), count=1)) is not None


def monitoring_grafana(platform: Platform) -> Iterator[str]:
    """Refuse Grafana where artifacts do not come from their makers: it is not among them."""
    if str(platform.values["monitoring_grafana"]).lower() == "true" and platform.source != "upstream":
        yield (
            "monitoring_grafana is true, and Grafana is not among the platform's artifacts: write false, or "
            "take them from their makers (metalworks_artifact_source: upstream)"
        )


def monitoring_scrapes(platform: Platform) -> Iterator[str]:
    """Refuse scrapes that are so seldom that alerts come late, or tell of what answers."""
    value = value_at(platform.values["monitoring_values"], "prometheus.prometheusSpec.scrapeInterval")
    if value is not None and not SCRAPE.fullmatch(str(value)):
        yield (
            f"monitoring_values: scrapeInterval is {value!r}, and alerts such as ApiServerDown look for "
            "answers of the last 20 s: write 7s to 15s"
        )


PART = "monitoring"
OPTIONAL = (monitoring_scrapes,)
