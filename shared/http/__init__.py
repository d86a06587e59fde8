"""HTTP as every service speaks it: create the app, raise problems, read bodies, serve."""

from shared.http.app import create_app, error_response, request_id
from shared.http.body import body_pieces, read_body
from shared.http.envelopes import ENVELOPES, Envelope, Envelopes, ErrorBody
from shared.http.health import READINESS, Check, Readiness
from shared.http.problems import FieldError, Problem, problem, unauthorized, unavailable
from shared.http.server import cancel, run_app, run_in_background, serving

__all__ = [
    "ENVELOPES",
    "READINESS",
    "Check",
    "Envelope",
    "Envelopes",
    "ErrorBody",
    "FieldError",
    "Problem",
    "Readiness",
    "body_pieces",
    "cancel",
    "create_app",
    "error_response",
    "problem",
    "read_body",
    "request_id",
    "run_app",
    "run_in_background",
    "serving",
    "unauthorized",
    "unavailable",
]
