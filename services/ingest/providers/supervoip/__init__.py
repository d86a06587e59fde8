"""SuperVoIP (supervoip.pl). See README.md."""

from typing import Final

from services.ingest.adapter import Adapter, Says
from services.ingest.providers.supervoip.mapping import to_events

ADAPTER: Final = Adapter(
    name="supervoip", says=Says(ring=True, answer=False, end="leg", legs=True, time=False), to_events=to_events
)
