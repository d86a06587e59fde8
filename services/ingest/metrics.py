"""Metrics of ingest."""

from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge

REQUESTS: Final = Counter(
    "ingest_requests_total",
    "Provider requests by what became of them: accepted, unrecognised, refused, throttled, unavailable, failed.",
    ["provider", "outcome"],
)
BROKER_SLOW: Final = Gauge(
    "ingest_broker_slow", "1 while events go straight to the journal, because the broker did not confirm in time."
)
EVENTS: Final = Counter(
    "ingest_events_total", "Events that are safe: with the broker, or in the journal.", ["provider", "type"]
)
ODDITIES: Final = Counter(
    "ingest_oddities_total",
    "Words and values of a provider that were not understood, by field. Look at the requests of that channel.",
    ["provider", "channel", "field"],
)
GUESSED: Final = Counter(
    "ingest_guessed_rings_total",
    "Rings that name no call and got one of their own, because the database was away.",
)
REJECTED_UNKEPT: Final = Counter(
    "ingest_rejected_unkept_total",
    "Refused requests of which no copy was kept: too many of the kind, or the broker was away.",
    ["provider", "why"],
)
REPUBLISHED: Final = Counter(
    "ingest_republished_total",
    "Events of the channel-key API that were published again, because the broker had not confirmed them in time.",
)
UPLOADS: Final = Counter(
    "ingest_uploads_total",
    "Recordings that came in, by what became of them: kept, refused (no audio, too large, cut off, the request was).",
    ["outcome"],
)
UPLOADED_BYTES: Final = Counter("ingest_uploaded_bytes_total", "Size of the recordings that were kept.")
CLOCK_SKEW: Final = Gauge(
    "ingest_clock_skew_seconds",
    "When the channel's latest live message was received, by our clock, minus when it was sent, by the provider's.",
    ["provider", "channel"],
)
CLOCK_SKEWED: Final = Gauge(
    "ingest_clock_skewed", "1 where that is more than two minutes either way, else 0.", ["provider", "channel"]
)

# A child is looked up in prometheus once.
requests = cache(REQUESTS.labels)
events = cache(EVENTS.labels)


@cache
def clock(provider: str, channel_id: int) -> tuple[Gauge, Gauge]:
    """Return a channel's `CLOCK_SKEW` and `CLOCK_SKEWED`."""
    return CLOCK_SKEW.labels(provider, str(channel_id)), CLOCK_SKEWED.labels(provider, str(channel_id))
