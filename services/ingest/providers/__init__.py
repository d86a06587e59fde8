"""Every provider that we speak with, one folder each."""

from collections.abc import Mapping
from typing import Final

from services.ingest.adapter import Adapter
from services.ingest.providers import supervoip

ADAPTERS: Final[tuple[Adapter, ...]] = (supervoip.ADAPTER,)
BY_NAME: Final[Mapping[str, Adapter]] = {adapter.name: adapter for adapter in ADAPTERS}
