"""Metrics of the journal."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

BYTES: Final = Gauge("ingest_journal_bytes", "Bytes on disk that are not with the broker yet.", ["journal"])
OLDEST_SECONDS: Final = Gauge(
    "ingest_journal_oldest_seconds", "Age of the oldest file that waits; 0 = none does.", ["journal"]
)
WRITTEN: Final = Counter(
    "ingest_journal_written_total", "Entries written to disk because the broker did not confirm.", ["journal"]
)
FORWARDED: Final = Counter("ingest_journal_forwarded_total", "Entries that the broker has taken since.", ["journal"])
REFUSED: Final = Counter(
    "ingest_journal_refused_total", "Requests that the journal did not take: full, slow, disk.", ["journal", "why"]
)
DAMAGED: Final = Counter(
    "ingest_journal_damaged_total", "Files set aside, once forwarded, because something in them can't be read."
)
SET_ASIDE: Final = Counter(
    "ingest_journal_set_aside_total", "Entries set aside because nothing can be made of them.", ["journal"]
)
WRITE_SECONDS: Final = Histogram(
    "ingest_journal_write_seconds",
    "One write with its fsync.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
