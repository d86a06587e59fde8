"""Hooks without a dialect of their own: our field names, or those of the channel's mapping. See README.md."""

from typing import Final

from services.ingest.adapter import Adapter, Says
from services.ingest.providers.generic.mapping import to_events

SAYS: Final = Says(ring=True, answer=True, end="call", legs=True, time=False)
"""What our own field names can tell; what a channel with a mapping tells depends on it."""

ADAPTER: Final = Adapter(name="generic", says=SAYS, to_events=to_events)
