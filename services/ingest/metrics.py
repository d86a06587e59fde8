"""Metrics of ingest."""

from functools import cache
from typing import Final

from prometheus_client import Counter

REQUESTS: Final = Counter(
    "ingest_requests_total",
    "Provider requests by what became of them: accepted, unrecognised, refused, throttled, unavailable, failed.",
    ["provider", "outcome"],
)
EVENTS: Final = Counter("ingest_events_total", "Events that the broker has confirmed.", ["provider", "type"])
ODDITIES: Final = Counter(
    "ingest_oddities_total",
    "Words and values of a provider that were not understood, by field. Look at the requests of that channel.",
    ["provider", "channel", "field"],
)
REJECTED_UNKEPT: Final = Counter(
    "ingest_rejected_unkept_total",
    "Refused requests of which no copy was kept: too many of the kind, or the broker was away.",
    ["provider", "why"],
)

# A child is looked up in prometheus once.
requests = cache(REQUESTS.labels)
events = cache(EVENTS.labels)
