"""Metrics of the directory's readers."""

from typing import Final

from prometheus_client import Counter, Gauge

AGE_SECONDS: Final = Gauge(
    "directory_age_seconds", "Since the snapshot in memory was last known to be the directory's newest."
)
VERSION: Final = Gauge("directory_version", "Version of the directory in memory.")
LOADS: Final = Counter("directory_loads_total", "Whole reads of the directory.")
LOOKUPS: Final = Counter(
    "directory_lookups_total", "Direct look-ups of keys and tokens that are not in memory.", ["outcome"]
)
