"""`python -m services.ingest`"""

import gc
import sys

from services.ingest.app import NAME, build
from services.ingest.settings import Settings
from shared import logging
from shared.http import run_app


def main() -> int:
    """Run ingest until SIGTERM; return the exit code."""
    settings = Settings.from_environment()
    logging.configure(NAME, settings.log_level)
    app = build(settings)
    # A request's objects end with it. Without this the collector walks through them, and through all that was imported,
    # again and again (measured: a twelfth of the CPU time).
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    return run_app(app, settings)


if __name__ == "__main__":
    sys.exit(main())
