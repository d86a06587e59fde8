"""What a mapping file may say, and how a wrong one is refused."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mapping import InvalidMapping, Mapping

LEAST = {"fields": {"event": "e", "call": "c"}}


def with_fields(**more: Any) -> dict[str, Any]:
    return {"fields": {**LEAST["fields"], **more}}


def test_the_least_mapping_has_our_words_and_orders_by_arrival() -> None:
    mapping = Mapping.read(LEAST)

    assert (mapping.fields.event, mapping.fields.call, mapping.fields.leg) == (("e",), ("c",), None)
    assert (mapping.words.event, mapping.time, mapping.time_format) == (None, "sometimes", "any")
    assert (mapping.durations, mapping.ends) == ("seconds", "named")


def test_words_are_compared_in_any_case_and_spacing() -> None:
    mapping = Mapping.read({**LEAST, "words": {"event": {" Call  START ": "ringing"}}})

    assert mapping.words.event == {"call start": "ringing"}


@pytest.mark.parametrize(
    "written",
    [
        "any",
        "unix",
        "unix_ms",
        "iso",
        "%d.%m.%Y %H:%M",
        "%Y%m%d%H%M%S",
        "%Y-%m-%dT%H:%M:%S%z",
        "%I:%M:%S %p %m/%d/%y",
        "%%Z %Y%m%d%H%M",
    ],
)
def test_time_formats(written: str) -> None:
    assert Mapping.read({**LEAST, "time_format": written}).time_format == written


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({}, "fields: Field required"),
        ([], "Input should be a valid dictionary or instance of Mapping"),
        ({"fields": {"event": "e"}}, "fields.call: Field required"),
        ({"fields": {"call": "c"}}, "fields.event or defaults.event is needed"),
        ({**LEAST, "field": {}}, "field: Extra inputs are not permitted"),
        (with_fields(caller="x"), "fields.caller: Extra inputs are not permitted"),
        (with_fields(leg=3), "fields.leg: is a name or a list of names"),
        (with_fields(leg=[]), "fields.leg: Value should have at least 1 item"),
        (with_fields(leg="a..b"), "fields.leg.0: String should match pattern"),
        (with_fields(leg="a\0"), "fields.leg.0: has a character that can't be shown"),
        (with_fields(leg="\ud800"), "fields.leg.0"),
        (with_fields(leg="x" * 101), "fields.leg.0: String should have at most 100 characters"),
        ({**LEAST, "words": {"event": {"A": "boom"}}}, "words.event.A: Input should be 'ringing', 'answered'"),
        ({**LEAST, "words": {"event": {}}}, "words.event: Dictionary should have at least 1 item"),
        ({**LEAST, "words": {"event": {" ": "ended"}}}, "words.event: a word is empty"),
        ({**LEAST, "words": {"event": {"A": "ended", "a": "ended"}}}, "words.event: a word is there twice"),
        ({**LEAST, "words": {"outcome": {"A": "busy"}}}, "words.outcome is given, but fields.outcome is not"),
        ({**LEAST, "defaults": {"direction": "in"}}, "defaults.direction: Input should be 'incoming'"),
        ({**LEAST, "defaults": {"authority": "person"}}, "defaults.authority: Input should be 'live' or 'record'"),
        ({**LEAST, "defaults": {"user_ids": [1]}}, "defaults.user_ids: Extra inputs are not permitted"),
        ({**LEAST, "time": "always"}, "time is always, but fields.time is not given"),
        ({**LEAST, "time": "never"}, "time: Input should be 'always' or 'sometimes'"),
        ({**LEAST, "time_format": "iso8601"}, "time_format: is any, unix, unix_ms, iso or a pattern"),
        ({**LEAST, "time_format": "%d.%m.%Y"}, "time_format: this pattern does not tell a date with hour and minute"),
        ({**LEAST, "time_format": "%H:%M"}, "time_format: this pattern does not tell a date with hour and minute"),
        ({**LEAST, "time_format": "%d.%m.%Y %I:%M"}, "time_format: this pattern does not tell"),
        ({**LEAST, "time_format": "%Q %"}, "time_format: this pattern does not tell"),
        ({**LEAST, "time_format": "%d.%m.%Y %H:%M %Z"}, "time_format: %Z, the name of a time zone, can't be read"),
        ({**LEAST, "durations": "hours"}, "durations: Input should be 'seconds'"),
        ({**LEAST, "ends": True}, "ends: Input should be 'named', 'leg' or 'call'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value: Any, error: str) -> None:
    with pytest.raises(InvalidMapping) as refused:
        Mapping.read(value)
    assert any(error in each for each in refused.value.errors), refused.value.errors


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidMapping) as refused:
        Mapping.read({"fields": {"event": 1}, "ends": 2, "words": []})
    assert len(refused.value.errors) == 4


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(["fields", "words", "defaults", "time", "time_format", "durations", "ends", "event", "call"])


@given(st.dictionaries(keys | st.text(max_size=5), json_values | st.dictionaries(keys, json_values, max_size=4)))
def test_any_json_is_a_mapping_or_refused_by_name(value: dict[str, Any]) -> None:
    try:
        told = Mapping.read(json.loads(json.dumps(value))).fields.call
    except InvalidMapping as error:
        told = error.errors
    assert told


@given(st.text(alphabet="%YmdHMSyIpzZjfcxXaAbBUuWGVs .:-T0", max_size=20))
def test_any_time_pattern_is_taken_or_refused_by_name(written: str) -> None:
    with suppress(InvalidMapping):
        Mapping.read({**LEAST, "time_format": written})
