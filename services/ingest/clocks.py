"""How far providers' clocks are from ours, per channel.

What a provider sends late, or again, looks like a clock that is behind; the next message that comes at once clears it.
"""

from datetime import datetime
from typing import Final

import structlog

from services.ingest import metrics
from shared.directory import Channel

SKEWED_SECONDS: Final = 120.0

log = structlog.get_logger(__name__)


class Clocks:
    """What this process has seen of them last."""

    def __init__(self) -> None:
        self._skewed: set[int] = set()

    def note(self, channel: Channel, received_at: datetime, sent_at: datetime) -> None:
        """Take in that `channel` sent at `sent_at`, by its own clock, what we received at `received_at`, by ours."""
        seconds = (received_at - sent_at).total_seconds()
        skewed = abs(seconds) > SKEWED_SECONDS
        skew, flag = metrics.clock(channel.provider, channel.id)
        skew.set(seconds)
        flag.set(skewed)
        if skewed == (channel.id in self._skewed):
            return
        if skewed:
            self._skewed.add(channel.id)
            log.warning("provider_clock_skewed", channel_id=channel.id, skew_seconds=round(seconds), **_known(channel))
        else:
            self._skewed.discard(channel.id)
            log.info("provider_clock_right_again", channel_id=channel.id, **_known(channel))


def _known(channel: Channel) -> dict[str, object]:
    return {"provider": channel.provider, "trust_clock": channel.trust_clock}
