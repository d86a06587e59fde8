"""Documents as schemathesis takes them."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis.schemas import BaseSchema

schemathesis.openapi.format("cursor", strategies.just(""))  # the only one that every list has given


def thorough(document: dict[str, Any], known: dict[str, Any]) -> BaseSchema:
    """Return `document` with every way to be asked that its schemas suggest, and a few random ones, always the same.

    Paths that are only another way to write one are left out. `known` is configuration: which values mean something to
    the service, and which checks don't apply.
    """
    # Words found in our own code would make what is asked depend on any change of it.
    return _without_aliases(_loaded(document, 10, {**known, "analysis": {"constants": {"enabled": False}}}))


def exhaustive(document: dict[str, Any], known: dict[str, Any]) -> BaseSchema:
    """Return the same with hundreds of random ways, words of our own code among them."""
    # Of so many some differ from what is good by blanks alone, which count for nothing.
    lenient = {"fuzzing": {"checks": {"negative_data_rejection": {"enabled": False}}}}
    return _without_aliases(_loaded(document, 500, {**known, "phases": lenient}))


def at_random(document: dict[str, Any]) -> BaseSchema:
    """Return `document` with a few random ways to be asked, always the same, by somebody with random credentials."""
    more = {"phases": {"coverage": {"enabled": False}}, "analysis": {"constants": {"enabled": False}}}
    return _loaded(document, 5, more, credentials=True)


def _loaded(document: dict[str, Any], examples: int, more: dict[str, Any], *, credentials: bool = False) -> BaseSchema:
    generation = {
        "max-examples": examples,
        "deterministic": True,
        "database": "none",
        "with-security-parameters": credentials,
    }
    common = {"seed": 1, "generation": generation, "suppress-health-check": ["all"]}  # a slow machine is no bug
    config = schemathesis.Config.from_dict({**common, **more})
    return schemathesis.openapi.from_dict(document, config=config)


def _without_aliases(schema: BaseSchema) -> BaseSchema:
    return schema.exclude(lambda context: "x-same-as" in context.operation.definition.raw)
