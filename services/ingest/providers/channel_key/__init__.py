"""The channel-key API: calls that are created and updated by whoever has the channel's key. See README.md."""

from typing import Final

from services.ingest.adapter import Adapter, Says
from services.ingest.providers.channel_key.mapping import to_events

ADAPTER: Final = Adapter(
    name="channel_key", says=Says(ring=True, answer=True, end="call", legs=False, time=False), to_events=to_events
)
