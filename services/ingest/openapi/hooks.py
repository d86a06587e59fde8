"""Provider webhooks, `/hooks/...`: what each provider sends is in `fields.py`."""

from typing import Any, Final

from services.ingest.adapter import Adapter, Says
from services.ingest.openapi.common import EXAMPLE_REQUEST_ID, LIMITS
from services.ingest.openapi.fields import PROVIDERS, Provider
from services.ingest.providers import HOOKS as ADAPTERS
from shared.events import CallAnswered, CallEnded, CallNoted, CallRinging
from shared.http.openapi import (
    HOOKS,
    Document,
    Json,
    answer,
    array,
    models,
    nullable,
    obj,
    query,
    ref,
    segment,
    text,
    whole,
)

_TAG: Final = "provider webhooks"
_KEY: Final = segment("key", text(minLength=1, maxLength=512), "The channel's key: the credential.")
_DRY_RUN: Final = query(
    "dry_run",
    text(enum=["0", "1", "false", "true"]),
    "`1`: answer the events that would be made of this request and who would see the call, and store nothing.",
)
_ERRORS: Final = {
    400: "The body is in none of the formats, or broken.",
    403: "The channel is switched off.",
    404: "No channel of this provider has this key; or the URL names no event that there is.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or has too many or too long fields.",
    415: "The body is compressed with something other than gzip or deflate.",
    422: "What a call needs is missing or can't be used: one entry in `errors` per field.",
    429: "More requests than the channel may send.",
    503: "Can't be taken now: an unknown key can't be looked up, the channel's mapping file can't be used, or neither "
    "the broker nor our disk takes the events. Send it again.",
}
_EVENTS: Final = (CallRinging, CallAnswered, CallEnded, CallNoted)


def describe(document: Document) -> None:
    """Add every provider that posts webhooks."""
    document.tag(
        _TAG,
        "Whatever a telephone system can be made to send: `GET` with all in the query, or `POST` with JSON (an "
        "object), a form, a multipart form or flat XML. What the body looks like decides, not its `Content-Type`. Body "
        "and query are merged, the body wins; names are in any case. Fields not listed are kept with the event.",
    )
    document.schemas(models(*_EVENTS))
    document.schema("HookAccepted", _accepted())
    document.schema("HookUnrecognised", _unrecognised())
    document.schema("HookDryRun", _dry_run())
    for adapter in ADAPTERS:
        _provider(document, adapter, PROVIDERS[adapter.name])


def _provider(document: Document, adapter: Adapter, provider: Provider) -> None:
    name = adapter.name.capitalize()
    fields = document.schema(f"{name}Fields", _fields(provider))
    parameters = [_KEY]
    path = f"/hooks/{adapter.name}/{{key}}"
    if adapter.path_events:
        path += "/{event}"
        parameters.append(segment("event", text(enum=list(adapter.path_events)), provider.event))
    shared: dict[str, Any] = {
        "tag": _TAG,
        "description": f"{provider.about}\n\n{_said(adapter.says)}",
        "responses": {200: _answer(), **HOOKS(_ERRORS)},
    }
    document.operation(
        "POST",
        path,
        id=f"post{name}",
        summary=f"A webhook of {provider.title}",
        parameters=[*parameters, _DRY_RUN],
        body=_body(fields, provider),
        **shared,
    )
    document.operation(
        "GET",
        path,
        id=f"get{name}",
        summary=f"A webhook of {provider.title}, all in the query",
        parameters=[*parameters, *_in_query(provider), _DRY_RUN],
        **shared,
    )


def _fields(provider: Provider) -> Json:
    one_of = [{"required": [name]} for name in provider.one_of]
    return {
        "type": "object",
        "properties": dict(provider.fields),
        **LIMITS,
        **({"required": list(provider.required)} if provider.required else {}),
        **({"anyOf": one_of} if one_of else {}),
    }


def _in_query(provider: Provider) -> list[Json]:
    return [
        query(
            name,
            {key: value for key, value in schema.items() if key != "description"},
            schema.get("description", ""),
            **({"required": True} if name in provider.required else {}),
        )
        for name, schema in provider.fields.items()
    ]


def _body(fields: Json, provider: Provider) -> Json:
    examples = {name: {"value": value} for name, value in provider.examples.items()}
    shown = {"schema": fields, **({"examples": examples} if examples else {})}
    return {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": shown,
            "application/json": shown,
            "multipart/form-data": {"schema": fields},
            "application/xml": {"schema": fields},
        },
    }


def _answer() -> Json:
    return answer(
        "Accepted; or, with `accepted` false, a kind of event or status that we don't know: kept for when we do.",
        {"oneOf": [ref("HookAccepted"), ref("HookUnrecognised"), ref("HookDryRun")]},
        examples={
            "accepted": {"accepted": True, "request_id": EXAMPLE_REQUEST_ID, "events": 1},
            "unrecognised": {
                "accepted": False,
                "request_id": EXAMPLE_REQUEST_ID,
                "reason": "unknown status: 'callheld'",
            },
        },
    )


def _accepted() -> Json:
    return obj(
        {
            "accepted": {"const": True},
            "request_id": text("As in `X-Request-Id`."),
            "events": whole("How many call events it told of; all of them are safe.", minimum=0),
        }
    )


def _unrecognised() -> Json:
    return obj(
        {
            "accepted": {"const": False},
            "request_id": text("As in `X-Request-Id`."),
            "reason": text("The word that we don't know."),
        }
    )


def _dry_run() -> Json:
    events = {"oneOf": [ref(event.__name__) for event in _EVENTS]}
    return obj(
        {
            "request_id": text("As in `X-Request-Id`."),
            "events": array(events, description="As they would be published."),
            "not_understood": array(text(), description="Names of fields whose value we could not use."),
            "routing": nullable(_routing()),
        },
        description="The answer to `dry_run`.",
    )


def _routing() -> Json:
    other = obj({"user_id": whole(), "why_not": text("As in `no access to telephony`.")})
    return obj(
        {
            "audience": array(whole(), description="Ids of the users who would see it now, ascending."),
            "assignee": nullable(whole("Id of the user whose call it is.")),
            "locations": array(whole(), description="Ids of the locations in whose history it goes."),
            "rule": text("Name of the rule that decides."),
            "rank": whole("Number of that rule; 1 is the most exact.", minimum=1),
            "sentence": text("The same for people."),
            "others": array(other, description="Everyone else of the account, by id."),
        },
        description=(
            "Who would see the call, decided on the first event that moves it; null where there is no event. "
            "Its rules: `shared/routing/README.md`."
        ),
    )


def _said(says: Says) -> str:
    end = {None: "never an end", "call": "the end of the call", "leg": "the end of each leg"}[says.end]
    told = [
        "when it rings" if says.ring else "never that it rings",
        "when it is answered" if says.answer else "never an answer",
        end,
        "which extension" if says.legs else "no extensions",
        "the time of each event" if says.time else "no time of the event",
    ]
    return f"This provider tells: {', '.join(told)}."
