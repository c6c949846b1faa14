"""What the server counts, in Prometheus' format at /metrics."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """Requests by function, method and status; and the process."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        """Make a registry of its own, so that tests can have several."""
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.requests = Counter(
            "mlflow_http_requests",
            "Requests that were answered; 499 where the client left before.",
            ["method", "endpoint", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "mlflow_http_request_seconds",
            "From the request to the end of the answer.",
            ["endpoint"],
            registry=self.registry,
        )

    def note(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests.labels(method, endpoint, str(status)).inc()
        self.seconds.labels(endpoint).observe(seconds)

    def text(self) -> bytes:
        """Return all of it."""
        return generate_latest(self.registry)
