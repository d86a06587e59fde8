"""What `make run` prints once the system is up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.ingest.providers import BY_NAME

_CALL = "status=callstart&direction=in&numberA=601234567&numberB=220000900&sipnumber=101&callid=demo-1"


def of(demo: Mapping[str, Any]) -> str:
    """Return the text: webhook URLs, tokens, and three lines to paste. `demo` is what .run/demo.json holds."""
    return "\n".join(_lines(demo))


def _lines(demo: Mapping[str, Any]) -> Iterator[str]:
    base = demo["base_url"]
    token = demo.get("account", {}).get("api_token", "")
    # The demo account has a channel of every kind; shown are those of the providers that are taken in so far.
    hooks = {name: channel["url"] for name, channel in demo.get("channels", {}).items() if name in BY_NAME}
    yield ""
    yield f"Callbus is up: {base} (Ctrl-C stops it; data stays in .run/)"
    if hooks:
        yield "Webhook URLs:"
        yield from (f"  {name:<12} {url}" for name, url in hooks.items())
    if token:
        yield f"API token of the demo account: {token}"
    yield "More, for scripts: .run/demo.json. To manage it: .venv/bin/callbus --help"
    yield "Try:"
    if "supervoip" in hooks:
        yield f"  curl -d '{_CALL}' {hooks['supervoip']}"
    if token:
        yield f"  curl '{base}/voip/calls.json?api_token={token}'"
    yield f"  curl {base}/status"
    yield ""
