"""`python -m services.history`: the only place that sees the environment."""

import sys

from services.history.app import create
from services.history.settings import Settings
from shared import logging
from shared.http import run_app


def main() -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    settings = Settings()
    logging.configure("history", settings.log_level)
    return run_app(create(settings), settings)


if __name__ == "__main__":
    sys.exit(main())
