"""The partner API, `POST /voip/integration`."""

from typing import Any, Final

from services.ingest.openapi.common import LIMITS, NOT_BLANK
from shared.events import Direction
from shared.http.openapi import PARTNER, Document, Json, answer, nullable, obj, ref, text

_TAG: Final = "partner API"
_PATH: Final = "/voip/integration"
_STATUSES: Final = ("success", "missed", "cancel", "busy", "notavailable", "notallowed", "notfound")
_TOKEN: Final = "0f3f6c0e-9a51-4d0f-8d63-1b2f9a7c5e10"  # noqa: S105 - invented
_RING: Final = {
    "command": "event",
    "type": "incoming",
    "crm_token": _TOKEN,
    "phone": "+15550100123",
    "diversion": "+15550100900",
    "user": "sip-201",
}
_EXAMPLES: Final[dict[str, Json]] = {
    "enable": {"command": "setup", "type": "enable", "crm_token": _TOKEN},
    "rings": _RING,
    "report": {
        **_RING,
        "command": "history",
        "call_id": "pbx-77-1042",
        "status": "success",
        "duration": 73,
        "date": "2026-03-02T10:15:04+01:00",
        "link": "https://rec.example.net/77-1042.mp3",
    },
}
_ERRORS: Final = {
    400: "The body is not a JSON object.",
    401: "No partner token, or one that is unknown, expired or revoked (documented).",
    403: "The partner is not entitled to the chain; the channel is switched off; or, for `event` and `history`, its "
    "integration is disabled (documented as: access denied).",
    404: "No chain has this `crm_token` (documented).",
    408: "The body did not arrive in time.",
    413: "The body is too large, or has too many or too long fields.",
    415: "The body is compressed with something other than gzip or deflate.",
    422: "Some fields are wrong; every one of them is named.",
    429: "More requests than the chain may send.",
    503: "Can't be taken now: send it again.",
}


def describe(document: Document) -> None:
    """Add the partner API."""
    document.tag(
        _TAG,
        "The VoIP API of Altegio and YCLIENTS: a PBX vendor enables a chain's integration, says that a phone rings, "
        "and tells of a call when it is over. Commands, fields, the token and the answers 202, 401, 403 and 404 are "
        "documented; the other answers are ours in the same envelope. Any `Accept` is taken.",
    )
    partner = document.security(
        "partner", {"type": "http", "scheme": "bearer", "description": "The token of the PBX vendor's application."}
    )
    document.schemas({"PartnerSetup": _setup(), "PartnerEvent": _event(), "PartnerHistory": _history()})
    document.schema(
        "PartnerAccepted",
        obj(
            {
                "success": {"const": True},
                "data": {"type": "null"},
                "meta": obj({"message": {"const": "Accepted"}}),
            }
        ),
    )
    document.operation(
        "POST",
        _PATH,
        id="postIntegration",
        tag=_TAG,
        summary="Enable or disable an integration, a phone rings, a call is over",
        description="Repeating a command changes nothing: enabling twice, or a `history` with a `call_id` that was "
        "told before, is answered in the same way. Where text is "
        'expected a number is taken as its text; null and "" count as left out.',
        security=[partner],
        body={
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [ref("PartnerSetup"), ref("PartnerEvent"), ref("PartnerHistory")]},
                    "examples": {name: {"value": value} for name, value in _EXAMPLES.items()},
                }
            },
        },
        responses={
            202: answer(
                "Accepted (documented).",
                ref("PartnerAccepted"),
                examples={"accepted": {"success": True, "data": None, "meta": {"message": "Accepted"}}},
            ),
            **PARTNER(_ERRORS),
        },
        also=[f"/api/v1{_PATH}"],
    )


def _setup() -> Json:
    return obj(
        {
            "command": {"const": "setup"},
            "type": text(enum=["enable", "disable"]),
            "crm_token": _crm_token(),
        },
        **LIMITS,
    )


def _event() -> Json:
    return obj({"command": {"const": "event"}, **_sides()}, optional=("user",), **LIMITS)


def _history() -> Json:
    optional = {
        "call_id": nullable(_short("Id of the call in the PBX.")),
        "status": nullable(
            text(
                "`success` and `missed` are documented here, the others in the list of calls. Without it `success` "
                "where `duration` is above 0, else `missed`.",
                enum=list(_STATUSES),
            )
        ),
        "duration": nullable({"type": "number", "minimum": 0, "maximum": 10**9, "description": "Seconds."}),
        "date": nullable(
            text("Start of the call, ISO 8601, of this century.", format="date-time", pattern=r"^20\d\d-")
        ),
        "link": nullable(text("URL of the recording, `http` or `https`; another is left out.")),
    }
    sides = _sides()
    return obj({"command": {"const": "history"}, **sides, **optional}, optional=("user", *optional), **LIMITS)


def _sides() -> dict[str, Json]:
    return {
        "type": text(
            "Cards are shown for `incoming` alone (documented).", enum=[direction.value for direction in Direction]
        ),
        "crm_token": _crm_token(),
        "phone": _short("The other side's number.", pattern=NOT_BLANK),
        "diversion": _short("The company's own number that the call passed through.", pattern=NOT_BLANK),
        "user": nullable(_short("Id or number of the subscriber in the PBX.")),
    }


def _crm_token() -> Json:
    return text("The chain's token. `crmToken` is taken too (seen).", minLength=1, maxLength=512)


def _short(description: str, **more: Any) -> Json:
    return text(description, maxLength=255, **more)
