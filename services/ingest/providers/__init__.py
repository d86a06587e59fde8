"""Every provider that we speak with, one folder each."""

from collections.abc import Mapping
from typing import Final

from services.ingest.adapter import Adapter
from services.ingest.providers import channel_key, datera, generic, partner, supervoip, telecube, voipnow

HOOKS: Final[tuple[Adapter, ...]] = (
    supervoip.ADAPTER,
    telecube.ADAPTER,
    voipnow.ADAPTER,
    datera.ADAPTER,
    generic.ADAPTER,
)
"""Those that post to `/hooks/<name>/<key>`."""
BY_NAME: Final[Mapping[str, Adapter]] = {
    adapter.name: adapter for adapter in (*HOOKS, partner.ADAPTER, channel_key.ADAPTER)
}
