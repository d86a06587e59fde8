"""A story: the requests that a telephone system would send about one call, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

BEGAN: Final = "when the story began"
"""As a value of `Step.json`: told as the time, to the second, at which the story's first request was due."""

Fields = Mapping[str, Any]


class File(NamedTuple):
    """A file of a multipart form."""

    field: str
    name: str
    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Step:
    """One request, `at` seconds after the story begins. Exactly one of form, multipart, json, xml or query is sent."""

    at: float
    says: str
    url: str
    form: Fields | None = None
    multipart: Sequence[tuple[str, str]] | None = None
    file: File | None = None
    json: Fields | None = None
    xml: Fields | None = None
    query: Fields | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    """How often it is sent: providers repeat themselves."""


@dataclass(frozen=True, slots=True)
class Story:
    """One call. `outcome` is what history must say of it in the end; None where it is left to ring."""

    provider: str
    title: str
    call_key: str
    steps: tuple[Step, ...]
    outcome: str | None
    answered_by: str | None = None

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return max(step.at for step in self.steps)


class Cast:
    """Who calls whom, made up from a seed: the same seed tells the same stories."""

    def __init__(self, demo: Mapping[str, Any], seed: int) -> None:
        self.demo = demo
        self.random = Random(seed)
        self._seed = seed
        self._calls = 0

    def url(self, provider: str) -> str:
        """The URL that the demo account's channel of `provider` is posted to."""
        return str(self.demo["channels"][provider]["url"])

    def caller(self) -> str:
        """A Polish mobile or landline number, as a Polish PBX writes it: without a country code."""
        return self.random.choice(("50", "60", "66", "22", "12")) + f"{self.random.randrange(10**7):07d}"

    def key(self) -> str:
        """A new call's id."""
        self._calls += 1
        return f"demo-{self._seed}-{self._calls}"

    def phones(self, count: int) -> list[str]:
        """Names of `count` different phones of the demo account."""
        return self.random.sample(["101", "102", "103"], count)

    def seconds(self, least: float, most: float) -> float:
        """A length of time."""
        return round(self.random.uniform(least, most), 1)
