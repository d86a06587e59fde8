"""What history counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

EVENTS: Final = Counter("history_events_stored_total", "Events stored, copies that replaced a later one included.")
DUPLICATES: Final = Counter("history_events_duplicate_total", "Events that were known already.")
BATCH_SECONDS: Final = Histogram(
    "history_batch_seconds",
    "Time to store one batch of messages, failed ones included.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
)
BATCH_EVENTS: Final = Histogram(
    "history_batch_events", "Messages in a batch.", buckets=(1, 2, 5, 10, 25, 50, 100, 200, 400, 1000)
)
FOLDS: Final = Counter("history_folds_total", "Calls folded from their events.")
FOLD_SECONDS: Final = Counter(
    "history_fold_seconds_total", "CPU time spent on folding, parsing of loaded events included."
)
OLDEST_SECONDS: Final = Gauge(
    "history_oldest_message_seconds", "Age of the oldest message of the last batch stored, from its receipt by us."
)
REQUESTS: Final = Counter("history_requests_kept_total", "Refused and unrecognised requests kept.", ["outcome"])
REQUESTS_DELETED: Final = Counter("history_requests_deleted_total", "Kept requests deleted for their age.")
