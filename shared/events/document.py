"""The contract for people and programs outside: JSON Schemas and an AsyncAPI 3 document, made from the models.

`python -m shared.events.document` writes both beside this file; a test says when they are out of date.
"""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from shared.events._model import CATALOGUE, CONTENT_TYPE, Envelope, type_of

HERE: Final = Path(__file__).parent
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class Parties(NamedTuple):
    """Which services say an event, and which act on it."""

    senders: tuple[str, ...]
    receivers: tuple[str, ...]


_MOVES: Final = Parties(("ingest", "history", "dialer"), ("routing", "notifier", "history", "webhooks"))
_PEOPLE: Final = Parties(("notifier",), ("notifier",))
PARTIES: Final[dict[str, Parties]] = {
    "call.ringing.v1": _MOVES,
    "call.answered.v1": _MOVES,
    "call.ended.v1": _MOVES,
    "call.noted.v1": _MOVES,
    "call.routed.v1": Parties(("routing",), ("notifier", "history", "webhooks")),
    "call.missed.v1": Parties(("history",), ("notifier", "webhooks")),
    "call.missed-settled.v1": Parties(("history",), ("notifier", "webhooks")),
    "card.dismissed.v1": _PEOPLE,
    "card.claimed.v1": _PEOPLE,
    "card.released.v1": _PEOPLE,
    "agent.state.v1": Parties(("notifier",), ("routing", "notifier")),
    "request.rejected.v1": Parties(("ingest",), ("history",)),
}


def schema(event: type[Envelope]) -> dict[str, Any]:
    """Return an event's JSON Schema (2020-12), as a reader must understand it."""
    return {"$schema": _DIALECT, "$id": f"urn:callbus:{type_of(event)}", **event.model_json_schema(by_alias=True)}


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3 document of the broker's side."""
    types = {type_of(event): event for event in CATALOGUE}
    services = sorted({s for p in PARTIES.values() for s in (*p.senders, *p.receivers)})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Callbus events",
            "version": "1.0.0",
            "description": "What is said about calls, as CloudEvents 1.0 in structured JSON. "
            "The same event may come more than once and in any order; `id` says what is the same.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {t: _channel(t, event) for t, event in types.items()},
        "operations": {
            f"{service}.{verb}.{t}": _operation(service, verb, t)
            for service in services
            for t in types
            for verb, parties in (("send", PARTIES[t].senders), ("receive", PARTIES[t].receivers))
            if service in parties
        },
        "components": {"messages": {t: _message(t, event) for t, event in types.items()}},
    }


def _channel(name: str, event: type[Envelope]) -> dict[str, Any]:
    sharded = event.exchange == "calls"
    channel: dict[str, Any] = {
        "address": f"{name}.{{shard}}" if sharded else name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": event.exchange, "type": "topic", "durable": True, "autoDelete": False},
                "bindingVersion": "0.3.0",
            }
        },
    }
    if sharded:
        channel["parameters"] = {
            "shard": {"description": "Two digits, 00 to 15: the call's uid (an agent's user id) modulo 16."}
        }
    return channel


def _operation(service: str, verb: str, name: str) -> dict[str, Any]:
    return {
        "action": verb,
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": f"{service} {verb}s {name}",
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
    }


def _message(name: str, event: type[Envelope]) -> dict[str, Any]:
    samples = sorted((HERE / "samples" / name).glob("*.json"))
    return {
        "name": name,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip(),
        "contentType": CONTENT_TYPE,
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"schemas/{name}.json"},
        },
        "examples": [{"name": s.stem, "payload": json.loads(s.read_text())} for s in samples],
    }


def files() -> dict[Path, str]:
    """Return every generated file with its contents."""
    generated = {HERE / "schemas" / f"{type_of(e)}.json": _text(schema(e)) for e in CATALOGUE}
    return {**generated, HERE / "asyncapi.json": _text(asyncapi())}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
