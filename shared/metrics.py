"""Prometheus: what several services name alike, and the text that /metrics answers.

A service's own metrics live in its `metrics.py`. Labels take few values: never an id, a number or a path as sent.
"""

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Histogram, generate_latest

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

# From a fast answer of ours (half a millisecond) to a request that met its deadline.
LATENCY_BUCKETS_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

HTTP_REQUEST_SECONDS: Final = Histogram(
    "http_request_seconds",
    "Time from a request's headers to its answer being ready; its _count is the number of requests.",
    ["method", "route", "status"],
    buckets=LATENCY_BUCKETS_SECONDS,
)


def exposition() -> bytes:
    """Return every metric of this process in Prometheus' text format."""
    return generate_latest(REGISTRY)
