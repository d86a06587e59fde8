"""Which error body a path gets, and what it looks like."""

from typing import Any

import pytest

from shared.http import Envelopes, ErrorBody, FieldError, Problem, unavailable

_WRONG = Problem(422, detail="two fields are wrong", errors=[FieldError("a", "is required"), FieldError("b", "is odd")])
_GONE = Problem(404, detail="no such call", code="unknown_call")


@pytest.mark.parametrize(
    ("path", "problem", "expected"),
    [
        (
            "/api/v1/calls/1",
            _GONE,
            ErrorBody(
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "no such call",
                    "code": "unknown_call",
                    "request_id": "r-1",
                },
                "application/problem+json",
            ),
        ),
        (
            "/anything",
            _WRONG,
            ErrorBody(
                {
                    "type": "about:blank",
                    "title": "Unprocessable Entity",
                    "status": 422,
                    "detail": "two fields are wrong",
                    "errors": [{"field": "a", "detail": "is required"}, {"field": "b", "detail": "is odd"}],
                    "request_id": "r-1",
                },
                "application/problem+json",
            ),
        ),
        ("/voip/calls.json", _GONE, ErrorBody({"error": "no such call"})),
        ("/voip/calls", _WRONG, ErrorBody({"errors": {"a": ["is required"], "b": ["is odd"]}})),
        (
            "/hooks/supervoip/k",
            _GONE,
            ErrorBody({"accepted": False, "request_id": "r-1", "error": "no such call"}),
        ),
        (
            "/hooks/supervoip/k",
            _WRONG,
            ErrorBody(
                {
                    "accepted": False,
                    "request_id": "r-1",
                    "error": "two fields are wrong",
                    "errors": [{"field": "a", "detail": "is required"}, {"field": "b", "detail": "is odd"}],
                }
            ),
        ),
        (
            "/voip/integration",
            _WRONG,
            ErrorBody(
                {
                    "success": False,
                    "data": None,
                    "meta": {"message": "two fields are wrong", "errors": {"a": ["is required"], "b": ["is odd"]}},
                }
            ),
        ),
        ("/api/v1/voip/integration/calls", _GONE, ErrorBody({"success": False, "data": None, "meta": {}})),
        (
            "/api/v1/voip/integration",
            Problem(405),
            ErrorBody({"success": False, "data": None, "meta": {"message": "Method Not Allowed"}}),
        ),
        (
            "/api/v2/telephony/calls/@k",
            _WRONG,
            ErrorBody(
                {
                    "errors": [
                        {
                            "code": "unprocessable_entity",
                            "title": "Unprocessable Entity",
                            "details": detail,
                        }
                        for detail in ("a is required", "b is odd")
                    ]
                }
            ),
        ),
        (
            "/api/v2/telephony/calls/@k",
            _GONE,
            ErrorBody({"errors": [{"code": "unknown_call", "title": "Not Found", "details": "no such call"}]}),
        ),
        (
            "/api/v2/telephony/",
            Problem(405),
            ErrorBody(
                {
                    "errors": [
                        {"code": "method_not_allowed", "title": "Method Not Allowed", "details": "Method Not Allowed"}
                    ]
                }
            ),
        ),
    ],
)
def test_each_api_has_its_own_error_body(path: str, problem: Problem, expected: ErrorBody) -> None:
    assert Envelopes().of(path)(problem, "r-1") == expected


def test_a_later_api_adds_its_own_and_the_longest_prefix_wins() -> None:
    def widgets(problem: Problem, _request_id: str) -> ErrorBody:
        return ErrorBody({"widget_error": problem.detail})

    envelopes = Envelopes()
    envelopes.add("/voip/widgets", widgets)

    assert envelopes.of("/voip/widgets") is widgets
    assert envelopes.of("/voip/calls")(_GONE, "r").value == {"error": "no such call"}


@pytest.mark.parametrize(("seconds", "expected"), [(None, "1"), (0.2, "1"), (1.0, "1"), (1.1, "2"), (30.0, "30")])
def test_unavailable_says_when_to_come_back_in_whole_seconds(seconds: float | None, expected: Any) -> None:
    assert unavailable("away", seconds).headers == {"Retry-After": expected}
