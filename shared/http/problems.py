"""What a handler raises when it can't do what was asked; the middleware writes it in the path's own envelope."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple


class FieldError(NamedTuple):
    """One wrong field of a request."""

    field: str  # as the sender wrote it; a path with dots inside nested bodies
    detail: str  # what is wrong with it, as a sentence's end: "is required"


class Problem(Exception):
    """A request that is answered with an error.

    `title` is constant per kind of problem, `detail` is about this request; both are read by the sender and never
    repeat credentials. `code` is a word for programs, where an API has them.
    """

    def __init__(
        self,
        status: int,
        title: str = "",
        detail: str = "",
        errors: Sequence[FieldError] = (),
        *,
        code: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.title = title or phrase(status)
        self.detail = detail
        self.errors = tuple(errors)
        self.code = code
        self.headers = dict(headers or {})
        super().__init__(f"{status} {self.title}: {self.detail}")


def problem(
    status: int, title: str = "", detail: str = "", errors: Sequence[FieldError] = (), *, code: str = ""
) -> Problem:
    """Return the problem to raise: `raise problem(404, "Not found", "no such call")`."""
    return Problem(status, title, detail, errors, code=code)


def unauthorized(detail: str) -> Problem:
    """Return a 401 that names the scheme we take, as RFC 9110 requires."""
    return Problem(401, detail=detail, code="unauthorized", headers={"WWW-Authenticate": "Bearer"})


def unavailable(detail: str, retry_after_seconds: float | None = None) -> Problem:
    """Return a 503 that says when to come back (at least one second)."""
    seconds = max(1, -int(-(retry_after_seconds or 1) // 1))
    return Problem(503, detail=detail, code="unavailable", headers={"Retry-After": str(seconds)})


def phrase(status: int) -> str:
    """Return the usual words for `status`."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
