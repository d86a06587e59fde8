"""The partner API (Altegio, YCLIENTS). See README.md."""

from typing import Final

from services.ingest.adapter import Adapter, Says
from services.ingest.providers.partner.mapping import to_events

ADAPTER: Final = Adapter(
    name="partner", says=Says(ring=True, answer=False, end="call", legs=False, time=False), to_events=to_events
)
