"""What Prometheus is told."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("door_requests_total", "Answered requests.", ["page", "method", "code"])
SECONDS = Histogram(
    "door_request_seconds",
    "Time from the request's headers to the end of its answer.",
    ["page"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
)
BYTES = Counter(
    "door_bytes_total", "Bytes of bodies, to back ends (in) and to clients (out).", ["page", "direction"]
)
RUNNING = Gauge("door_requests_running", "Requests that are being passed on.", ["page"])
SOCKETS = Gauge("door_websockets", "Open websockets.", ["page"])
REFUSED = Counter(
    "door_refused_total", "Requests that reached no back end, by the reason.", ["page", "reason"]
)
