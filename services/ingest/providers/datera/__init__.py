"""Datera (datera.pl), which publishes no webhook of its own: the generic hook under its name. See README.md."""

from typing import Final

from services.ingest.adapter import Adapter
from services.ingest.providers.generic import SAYS
from services.ingest.providers.generic.mapping import to_events

ADAPTER: Final = Adapter(name="datera", says=SAYS, to_events=to_events)
