"""`python -m services.ingest`"""

import sys

from services.ingest.app import NAME, build
from services.ingest.settings import Settings
from shared import logging
from shared.http import run_app


def main() -> int:
    """Run ingest until SIGTERM; return the exit code."""
    settings = Settings.from_environment()
    logging.configure(NAME, settings.log_level)
    return run_app(build(settings), settings)


if __name__ == "__main__":
    sys.exit(main())
