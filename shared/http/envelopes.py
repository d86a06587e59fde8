"""Each API's own error body, chosen by path.

Some APIs bring documented shapes that their clients parse; everything else gets RFC 9457. An API that comes later adds
its own: `app[ENVELOPES].add("/uapi/", uapi_error)`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web

from shared.http.problems import Problem, phrase


class ErrorBody(NamedTuple):
    """What is sent for a problem: the JSON value and its media type."""

    value: Mapping[str, Any]
    content_type: str = "application/json"


Envelope = Callable[[Problem, str], ErrorBody]
"""Returns the body for a problem and the request's id."""


def problem_json(problem: Problem, request_id: str) -> ErrorBody:
    """RFC 9457, with one entry per wrong field."""
    value: dict[str, Any] = {"type": "about:blank", "title": problem.title, "status": problem.status}
    if problem.detail:
        value["detail"] = problem.detail
    if problem.code:
        value["code"] = problem.code
    if problem.errors:
        value["errors"] = [{"field": error.field, "detail": error.detail} for error in problem.errors]
    value["request_id"] = request_id
    return ErrorBody(value, "application/problem+json")


def crm(problem: Problem, _request_id: str) -> ErrorBody:
    """The CRM API's: `{"errors": {"field": ["message"]}}` for wrong fields, else `{"error": "message"}`."""
    if problem.errors:
        return ErrorBody({"errors": _by_field(problem)})
    return ErrorBody({"error": problem.detail or problem.title})


def hooks(problem: Problem, request_id: str) -> ErrorBody:
    """Provider webhooks': the same `accepted` and `request_id` as their good answer, and what is wrong."""
    value: dict[str, Any] = {
        "accepted": False,
        "request_id": request_id,
        "error": problem.detail or problem.title,
    }
    if problem.errors:
        value["errors"] = [{"field": error.field, "detail": error.detail} for error in problem.errors]
    return ErrorBody(value)


def partner(problem: Problem, _request_id: str) -> ErrorBody:
    """The partner API's: `success`, `data` and `meta` as in its good answers; a 404 promises no message."""
    meta: dict[str, Any] = {}
    if problem.status != 404:
        meta["message"] = problem.detail or problem.title
    if problem.errors:
        meta["errors"] = _by_field(problem)
    return ErrorBody({"success": False, "data": None, "meta": meta})


def telephony(problem: Problem, _request_id: str) -> ErrorBody:
    """The channel-key API's: one entry per fault, each with `code` (a word for programs), `title` and `details`."""
    code = problem.code or phrase(problem.status).lower().replace(" ", "_").replace("-", "_")
    details = [f"{error.field} {error.detail}" for error in problem.errors] or [problem.detail or problem.title]
    return ErrorBody({"errors": [{"code": code, "title": problem.title, "details": each} for each in details]})


def _by_field(problem: Problem) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for error in problem.errors:
        fields.setdefault(error.field, []).append(error.detail)
    return fields


class Envelopes:
    """Error bodies by path prefix; the longest prefix wins."""

    def __init__(self) -> None:
        self._by_prefix: list[tuple[str, Envelope]] = []
        self.add("", problem_json)
        self.add("/voip/", crm)
        self.add("/hooks/", hooks)
        for prefix in ("/voip/integration", "/api/v1/voip/integration"):
            self.add(prefix, partner)
        self.add("/api/v2/telephony/", telephony)

    def add(self, prefix: str, envelope: Envelope) -> None:
        """Use `envelope` for every path that starts with `prefix`."""
        self._by_prefix.append((prefix, envelope))
        self._by_prefix.sort(key=lambda item: len(item[0]), reverse=True)

    def of(self, path: str) -> Envelope:
        """Return the envelope of `path`."""
        return next(envelope for prefix, envelope in self._by_prefix if path.startswith(prefix))


ENVELOPES: Final = web.AppKey("ENVELOPES", Envelopes)
