"""`python -m services.history`: the only place that sees the environment."""

import gc
import sys

from services.history.app import create
from services.history.settings import Settings
from shared import logging
from shared.http import run_app


def main() -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    settings = Settings.from_environment()
    logging.configure("history", settings.log_level)
    # A batch is tens of thousands of objects that all end with it: without these, the collector walks through them, and
    # through everything that was imported, several times per batch (measured: a third of the CPU time).
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    return run_app(create(settings), settings)


if __name__ == "__main__":
    sys.exit(main())
