"""`callbus`: operators' command line. See `callbus --help`."""

import sys

from callbus.cli import run


def main() -> None:
    """Entry point of the `callbus` script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
