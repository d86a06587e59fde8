"""Error answers, one set for each envelope of `shared.http.envelopes`."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from shared.http.openapi._parts import Json, answer, array, header, obj, ref, text, whole

_NO_HTTP: Final = "Not a request that can be read, or headers over the limits (16 KiB each, 100 in all)."


class Errors(NamedTuple):
    """An API's error answers: `errors({404: "There is no such call."})` are responses by status, 400 among them."""

    schema: Json
    content_type: str = "application/json"
    by_status: Mapping[int, Json] = {}
    """Schemas of the statuses whose body is another."""

    def __call__(self, reasons: Mapping[int, str]) -> dict[int, Json]:
        reasons = {**reasons, 400: f"{reasons[400]} Or: {_NO_HTTP}" if 400 in reasons else _NO_HTTP}
        return {status: self._answer(status, reason) for status, reason in reasons.items()}

    def _answer(self, status: int, reason: str) -> Json:
        headers = {}
        if status in (429, 503):
            headers["Retry-After"] = header("RetryAfter")
        if status == 401:
            headers["WWW-Authenticate"] = header("Challenge")
        schema = self.by_status.get(status, self.schema)
        return answer(reason, schema, content_type=self.content_type, headers=headers)


PROBLEM: Final = Errors(ref("Problem"), "application/problem+json")
CRM: Final = Errors(ref("CrmError"), by_status={422: ref("CrmFieldErrors")})
HOOKS: Final = Errors(ref("HookError"))
PARTNER: Final = Errors(ref("PartnerError"), by_status={404: ref("PartnerNotFound"), 422: ref("PartnerFieldErrors")})
TELEPHONY: Final = Errors(ref("TelephonyErrors"))

_WRONG_FIELD: Final = obj({"field": text("As it was sent; dots lead into what is nested."), "detail": text()})
_BY_FIELD: Final[Json] = {
    "type": "object",
    "additionalProperties": array(text(), minItems=1),
    "description": "What is wrong, by field.",
    "minProperties": 1,
}


def _partner(meta: Json) -> Json:
    return obj({"success": {"const": False}, "data": {"type": "null"}, "meta": meta})


SCHEMAS: Final[Mapping[str, Json]] = {
    "Problem": obj(
        {
            "type": {"const": "about:blank"},
            "title": text("The status in words."),
            "status": whole(minimum=400, maximum=599),
            "detail": text("About this request."),
            "code": text("For programs, where there is one: `unauthorized`, `scope`, `unavailable`."),
            "errors": array(_WRONG_FIELD, description="Every wrong field.", minItems=1),
            "request_id": text("As in `X-Request-Id`."),
        },
        optional=("detail", "code", "errors"),
        description="RFC 9457.",
    ),
    "CrmError": obj({"error": text()}),
    "CrmFieldErrors": obj({"errors": _BY_FIELD}),
    "PartnerError": _partner(obj({"message": text()})),
    "PartnerFieldErrors": _partner(obj({"message": text(), "errors": _BY_FIELD})),
    "PartnerNotFound": _partner({"type": "object", "maxProperties": 0, "description": "Always empty."}),
    "TelephonyErrors": obj(
        {
            "errors": array(
                obj(
                    {
                        "code": text("For programs: `unknown_key`, `unknown_call`, ..., or the status as one word."),
                        "title": text("The status in words."),
                        "details": text(),
                    }
                ),
                minItems=1,
                description="One entry per fault.",
            )
        }
    ),
    "HookError": obj(
        {
            "accepted": {"const": False},
            "request_id": text("As in `X-Request-Id`."),
            "error": text(),
            "errors": array(_WRONG_FIELD, description="Every wrong field.", minItems=1),
        },
        optional=("errors",),
    ),
}
