"""What serving says about itself: metrics by model version, and an access log in JSON."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .arms import Arms
from .http import Request, Response

BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
# Probes and scrapes come every few seconds and say nothing.
SILENT = {"health", "metrics"}


class Metrics:
    """Counters and histograms, by model version."""

    def __init__(self) -> None:
        """Make them in a registry of their own."""
        self.registry = CollectorRegistry()
        labels = ["model", "version", "route", "status"]
        self.requests = Counter("metalworks_model_requests", "Answers", labels, registry=self.registry)
        self.seconds = Histogram(
            "metalworks_model_request_seconds",
            "From the last byte of a request to its answer",
            ["model", "version", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        # A slow version lets requests for the other one wait in the same queue, so waiting is left out here.
        self.own_seconds = Histogram(
            "metalworks_model_own_seconds",
            "What a version itself took for an answer, without the time in the queue",
            ["model", "version", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.loaded = Gauge(
            "metalworks_model_loaded_timestamp_seconds",
            "When a version that answers was loaded; data_until is the newest day that it learnt from",
            ["model", "version", "arm", "data_until"],
            registry=self.registry,
        )
        self.load_seconds = Gauge(
            "metalworks_model_load_seconds", "How long opening a version took", ["model", "version"],
            registry=self.registry,
        )  # fmt: skip
        self.share = Gauge(
            "metalworks_model_candidate_share", "Share of customers that the candidate answers",
            registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge("metalworks_model_queue", "Requests in the queue", registry=self.registry)
        self.connections = Gauge("metalworks_model_connections", "Open connections", registry=self.registry)
        self.registry_failures = Gauge(
            "metalworks_model_registry_failures", "Failed questions to the registry since the start",
            registry=self.registry,
        )  # fmt: skip
        self.registry_asked = Gauge(
            "metalworks_model_registry_answered_timestamp_seconds", "When the registry answered last",
            registry=self.registry,
        )  # fmt: skip
        self.refused = Gauge(
            "metalworks_model_refused", "1 if the registry wants a version that this server does not serve",
            registry=self.registry,
        )  # fmt: skip
        self.users = Counter(
            "metalworks_model_customers", "Customers asked for, by whether the model knows them",
            ["model", "version", "known"], registry=self.registry,
        )  # fmt: skip
        # Finding a child by its labels costs more than counting.
        self._count = cache(lambda *labels: self.requests.labels(*labels))
        self._time = cache(lambda *labels: self.seconds.labels(*labels))
        self._own = cache(lambda *labels: self.own_seconds.labels(*labels))
        self._user = cache(lambda *labels: self.users.labels(*labels))

    def answered(self, response: Response, seconds: float, own: float | None = None) -> None:
        """Count an answer; `own` are the seconds after the queue, None where it never left the queue."""
        labels = response.model, response.version, response.route
        self._count(*labels, str(response.status)).inc()
        self._time(*labels).observe(seconds)
        if own is not None:
            self._own(*labels).observe(own)

    def customer(self, model: str, version: str, known: bool) -> None:
        """Count a customer who was asked for."""
        self._user(model, version, "yes" if known else "no").inc()

    def changed(self, arms: Arms) -> None:
        """Show the versions that answer now."""
        self.loaded.clear()
        for arm, each in zip(("champion", "candidate"), arms.all, strict=False):
            self.loaded.labels(each.name, each.version, arm, each.model.card.data_until).set(each.since)
            self.load_seconds.labels(each.name, each.version).set(each.seconds)
        self.share.set(arms.share)

    def page(self) -> bytes:
        """Return all in Prometheus' text format."""
        return generate_latest(self.registry)


class AccessLog:
    """One line of JSON for each answer, written by a thread, so that a slow reader of the log delays nobody.

    Lines that would make the buffer larger than its bound are dropped and counted; the next line says how
    many.
    """

    BOUND = 50_000

    def __init__(self, write: Callable[[bytes], Any] | None = None) -> None:
        """Write to standard output, or with `write`."""
        self.loop = asyncio.get_running_loop()
        self.write = write or (lambda content: os.write(sys.stdout.fileno(), content))
        self.lines: list[dict[str, Any]] = []
        self.dropped = 0
        self.writing: asyncio.Future[Any] | None = None
        self.encoder = msgspec.json.Encoder()

    def answered(self, request: Request, response: Response, seconds: float) -> None:
        """Note an answer; probes that went well are left out."""
        if response.route in SILENT and response.status < 400:
            return
        if len(self.lines) >= self.BOUND:
            self.dropped += 1
            return
        self.lines.append(
            {
                "time": time.time(),
                "request_id": request.id.decode("latin-1"),
                "method": request.method.decode("latin-1"),
                "path": request.path[:256].decode("latin-1"),
                "status": response.status,
                "seconds": round(seconds, 6),
                "model": response.model,
                "version": response.version,
            }
        )
        if self.writing is None:
            self.writing = self.loop.create_task(self._flush())

    async def _flush(self) -> None:
        await asyncio.sleep(0.1)
        try:
            while self.lines:
                lines, self.lines = self.lines, []
                if self.dropped:
                    lines.append({"time": time.time(), "dropped": self.dropped})
                    self.dropped = 0
                await asyncio.to_thread(self._write_all, self.encoder.encode_lines(lines))
        finally:
            self.writing = None

    def _write_all(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self.write(bytes(view[:65536])) :]

    async def close(self) -> None:
        """Write what is left."""
        if self.writing:
            await self.writing
        if self.lines:
            await self._flush()
