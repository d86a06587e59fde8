"""A service in one page, for tests of the local run: ready at once, answers every request with its own name."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        answer = {
            "service": sys.argv[1],
            "path": self.path,
            "pid": os.getpid(),
            "forwarded_for": self.headers.get("X-Forwarded-For"),
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 -- the base class looks for this name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        """Say nothing."""


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(sys.argv[2])
    address = (os.environ["CALLBUS_LISTEN_HOST"], int(os.environ["CALLBUS_LISTEN_PORT"]))
    ThreadingHTTPServer(address, Handler).serve_forever()
