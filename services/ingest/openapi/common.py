"""What the parts of the document share."""

from typing import Final

from services.ingest.bodies import MAX_FIELDS, MAX_NAME
from shared.http.openapi import Json

LIMITS: Final[Json] = {"propertyNames": {"minLength": 1, "maxLength": MAX_NAME}, "maxProperties": MAX_FIELDS}
"""What holds for the fields of every request, whatever they are called."""
NOT_BLANK: Final = r"[^\s\x1c-\x1f\x85]"
"""A pattern: at least one character that Python takes for no white space."""
EXAMPLE_REQUEST_ID: Final = "c6f0bca04e910cfd35227430b4566ee8"
