"""Telecube (telecube.pl). See README.md."""

from typing import Final

from services.ingest.adapter import Adapter, Says
from services.ingest.providers.telecube.mapping import to_events

ADAPTER: Final = Adapter(
    name="telecube", says=Says(ring=True, answer=False, end="call", legs=True, time=False), to_events=to_events
)
