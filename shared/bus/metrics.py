"""Metrics of the bus. `queue` is one of the topology's; `link` is publish or consume."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from shared.metrics import LATENCY_BUCKETS_SECONDS

CONNECTION_UP: Final = Gauge("bus_connection_up", "1 while the connection is open, declared and not blocked.", ["link"])
RECONNECTS: Final = Counter("bus_connection_losses_total", "Times that a connection was lost or failed.", ["link"])

PUBLISHED: Final = Counter("bus_published_total", "Messages that the broker confirmed and routed.")
CONFIRM_SECONDS: Final = Histogram(
    "bus_confirm_seconds", "Time from a publish to the broker's confirm.", buckets=LATENCY_BUCKETS_SECONDS
)
NACKED: Final = Counter("bus_nacked_total", "Messages that the broker refused.")
UNROUTABLE: Final = Counter("bus_unroutable_total", "Messages that fitted no queue.")

CONSUMED: Final = Counter("bus_consumed_total", "Messages handled and acknowledged.", ["queue"])
BATCH_SIZE: Final = Histogram(
    "bus_batch_size", "Messages per call of the handler.", ["queue"], buckets=(1, 2, 5, 10, 20, 50, 100, 200, 400)
)
HANDLE_SECONDS: Final = Histogram(
    "bus_handle_seconds", "Time of one call of the handler.", ["queue"], buckets=LATENCY_BUCKETS_SECONDS
)
FAILURES: Final = Counter("bus_handle_failures_total", "Calls of the handler that raised.", ["queue", "kind"])
POISON: Final = Counter("bus_poison_total", "Messages moved to the dead queue.", ["queue", "reason"])
PAUSED: Final = Gauge("bus_consumer_paused", "1 while a consumer waits for its dependencies.", ["queue"])
