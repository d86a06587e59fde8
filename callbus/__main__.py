"""`callbus`: operators' command line. See `callbus --help`."""

import logging
import sys

import structlog

from callbus.cli import run


def main() -> None:
    """Entry point of the `callbus` script."""
    # What the libraries below log would spoil the output; errors are told by themselves.
    logging.getLogger().addHandler(logging.NullHandler())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
