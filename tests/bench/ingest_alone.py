"""Ingest whose publisher confirms at once: what the service costs without the broker.

Everything else is the service's own code, its connections included.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from services.ingest.app import NAME, build
from services.ingest.door import PARTS, Parts
from services.ingest.intake import Intake
from services.ingest.limits import TokenBuckets
from services.ingest.rejected import Rejected
from services.ingest.settings import Settings
from shared import logging
from shared.bus import Message
from shared.http import run_app


class ConfirmsAtOnce:
    """A `Publisher` and a `Keeper` without a broker."""

    ready = True

    async def publish(self, messages: Sequence[Message]) -> None:
        """Drop them."""

    keep = publish


def main() -> int:
    settings = Settings.from_environment()
    logging.configure(NAME, settings.log_level)
    app = build(settings)
    publisher = ConfirmsAtOnce()
    app[PARTS] = Parts(settings, Intake(publisher), Rejected(publisher, settings), TokenBuckets())
    return run_app(app, settings)


if __name__ == "__main__":
    sys.exit(main())
