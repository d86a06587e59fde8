"""4PSA VoipNow, and the telephone systems that are made of it. See README.md."""

from typing import Final

from services.ingest.adapter import Adapter, Says
from services.ingest.providers.voipnow.mapping import PATH_EVENTS, to_events

ADAPTER: Final = Adapter(
    name="voipnow",
    says=Says(ring=True, answer=True, end="leg", legs=True, time=False),
    to_events=to_events,
    path_events=PATH_EVENTS,
)
