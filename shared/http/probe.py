"""`python -m shared.http.probe`: exits with 0 where this container's service is ready, else prints why not."""

import os
import sys
import urllib.error
import urllib.request
from typing import Final

_SECONDS: Final = 3.0


def main() -> int:
    """Ask /readyz on CALLBUS_LISTEN_PORT."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{os.environ['CALLBUS_LISTEN_PORT']}/readyz", timeout=_SECONDS):
            return 0
    except urllib.error.HTTPError as error:
        sys.stdout.write(error.read(2000).decode(errors="replace"))
    except OSError as error:
        sys.stdout.write(f"{error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
