"""The generic hook beyond its fixtures: its documents are true, its mappings are remembered, nothing makes it fail."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from services.ingest.adapter import Mapped
from services.ingest.errors import Incomplete, Misconfigured, Refused
from services.ingest.intake import Arrival, Intake
from services.ingest.providers import BY_NAME
from services.ingest.providers.generic import reading, schema
from shared.directory import Channel
from shared.events import CallData, CallEnded, parse
from shared.mapping import FieldNames, InvalidMapping, Mapping
from tests.unit.ingest.test_providers import FOLDER, Silent

README = (FOLDER / "generic" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```json\n(.+?)```", README, re.DOTALL)
AT = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)


def channel(**more: Any) -> Channel:
    return Channel(**{"id": 7, "account_id": 1, "provider": "generic", "name": "x", **more})


def read(body: dict[str, Any], on: Channel | None = None, at: datetime = AT) -> Mapped:
    arrival = Arrival("POST", "", "", json.dumps(body).encode(), at, "request-1", None)
    return Intake(Silent()).read(arrival, BY_NAME["generic"], on or channel())


def test_the_schema_beside_the_readme_is_current() -> None:
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), (
        "run: python -m services.ingest.providers.generic.schema"
    )


@pytest.mark.parametrize("block", BLOCKS)
def test_mappings_in_the_readme_are_good_by_model_and_schema(block: str) -> None:
    Mapping.read(json.loads(block))
    Draft202012Validator(json.loads(schema.text())).validate(json.loads(block))


@pytest.mark.parametrize("wrong", [{}, {"fields": {"call": "a..b"}}, {"fields": {"call": "c", "event": "e"}, "x": 1}])
def test_the_schema_refuses_what_the_model_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidMapping):
        Mapping.read(wrong)
    assert not Draft202012Validator(json.loads(schema.text())).is_valid(wrong)


def test_our_names_are_those_of_call_data_and_all_are_in_the_readme() -> None:
    ours = {field.alias or name for name, field in FieldNames.model_fields.items()}
    beyond = {"event", "call", "time", "from_name", "to_name"}

    assert ours - beyond <= {field.alias or name for name, field in CallData.model_fields.items()}
    assert reading.OWN_NAMES.fields.model_dump(by_alias=True, exclude_none=True).keys() == ours
    assert [name for name in ours if f"`{name}`" not in README] == []


@pytest.mark.parametrize("example", re.findall(r"-d '(.+?)' ", README))
def test_requests_in_the_readme_become_events(example: str) -> None:
    arrival = Arrival("POST", "", "application/x-www-form-urlencoded", example.encode(), AT, "request-1", None)

    assert len(Intake(Silent()).read(arrival, BY_NAME["generic"], channel()).events) == 1


def test_a_mapping_is_read_once_and_again_when_the_directory_brings_another() -> None:
    first = {"fields": {"event": "e", "call": "c"}}
    reader = reading.reader_of(channel(mapping=first))

    assert reading.reader_of(channel(mapping=first)) is reader
    assert reading.reader_of(channel(mapping=json.loads(json.dumps(first)))) is reader  # the directory was read again
    assert reading.reader_of(channel(mapping={**first, "ends": "leg"})).mapping.ends == "leg"
    assert reading.reader_of(channel(mapping={**first, "ends": "leg"}, id=8)) is not reader


def test_a_bad_mapping_is_refused_every_time_and_good_again_once_mended() -> None:
    bad = channel(mapping={"fields": {}})
    for _ in range(2):
        with pytest.raises(Misconfigured, match=r"fields\.call: Field required"):
            read({"event": "ringing", "call": "c"}, bad)

    assert read({"event": "ringing", "call": "c"}, channel(mapping=None)).events


def test_mappings_are_remembered_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_REMEMBERED", 3)
    monkeypatch.setattr(reading, "_readers", {})
    for number in range(1, 10):
        reading.reader_of(channel(id=number, mapping={"fields": {"event": "e", "call": "c"}}))

    assert list(reading._readers) == [7, 8, 9]


def test_a_repeated_ring_is_the_same_by_its_time_or_by_when_it_came() -> None:
    def ids(body: dict[str, Any], *seconds: int) -> int:
        times = [AT.replace(second=second) for second in seconds]
        return len({read(body, at=at).events[0].id for at in times})

    ring = {"event": "ringing", "call": "c"}
    assert ids(ring, 0, 2) == 1  # a retry
    assert ids(ring, 0, 30) == 2  # another ring, as far as anybody can tell
    assert ids({**ring, "time": 1772442904}, 0, 30) == 1
    assert ids({"event": "ended", "call": "c"}, 0, 30) == 1


def test_the_clock_of_what_is_told_live_is_known_and_of_a_record_not() -> None:
    told = {"call": "c", "time": "2026-03-02T10:14:58+01:00"}

    assert read({**told, "event": "ringing"}).sent_at == datetime(2026, 3, 2, 9, 14, 58, tzinfo=UTC)
    assert read({**told, "event": "ended", "authority": "record"}).sent_at is None
    assert read({**told, "event": "noted"}).sent_at is None


def test_an_end_of_a_pbx_that_ends_legs_only_says_so() -> None:
    mapping = {"fields": {"event": "e", "call": "c", "leg": "l"}, "ends": "leg"}
    end = read({"e": "ended", "c": "1", "l": "101"}, channel(mapping=mapping)).events[0]

    assert isinstance(end, CallEnded)
    assert (end.data.leg, end.data.says_end) == ("101", "leg")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"a": {"b": {"c": "x"}}}, "x"),
        ({"A": {"B": {" C ": "x"}}}, "x"),
        ({"a.b.c": "x"}, "x"),
        ({"a[b][c]": "x"}, "x"),
        ({"a": '{"b": {"c": 7}}'}, "7"),
        ({"a": {"b": {"c": True}}}, "true"),
        ({"a": {"b": {"c": 1772442904.120}}}, "1772442904.12"),
        ({"a": {"b": {"c": None}}, "d": ["y"]}, "y"),
        ({"a": {"b": "text"}, "d": ["y"]}, "y"),
        ({"a": {"b": {"c": "\ud800\0"}}}, "\ufffd\ufffd"),
    ],
)
def test_a_name_finds_its_value_however_it_is_nested(sent: dict[str, Any], expected: str) -> None:
    mapping = {"fields": {"event": "e", "call": ["a.b.c", "d.0"]}}

    assert read({"e": "ringing", **sent}, channel(mapping=mapping)).events[0].data.call_key == expected


def read_form(form: str, on: Channel | None = None) -> Mapped:
    arrival = Arrival("POST", "", "application/x-www-form-urlencoded", form.encode(), AT, "request-1", None)
    return Intake(Silent()).read(arrival, BY_NAME["generic"], on or channel())


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("user_ids=3,4", (3, 4)),
        ("user_ids[]=3&user_ids[]=4", (3, 4)),
        ("user_ids[0]=3&user_ids[1]=4", (3, 4)),
        ("user_ids%5B0%5D=3&user_ids%5B7%5D=4", (3, 4)),
        ("user_ids[0]=3&user_ids[1]=", (3,)),
        ("user_ids=[3, 4]", (3, 4)),
        ("user_ids=[]", ()),
        ("user_ids[]=[]", ()),
        ("user_ids=", None),
        ("user_ids[]=", None),
    ],
)
def test_whom_a_form_addresses_however_it_writes_a_list(form: str, expected: tuple[int, ...] | None) -> None:
    nested = channel(mapping={"fields": {"event": "event", "call": "call", "user_ids": "to.ids"}})

    assert read_form(f"event=ringing&call=c&{form}").events[0].data.user_ids == expected
    assert read_form(f"event=ringing&call=c&{form.replace('user_ids', 'to[ids]')}", nested).events[0].data.user_ids == (
        expected
    )


@pytest.mark.parametrize("form", ["user_ids[0]=3&user_ids[1]=x", "user_ids[0]={}", "user_ids[]=3&group_ids[0]=4"])
def test_an_entry_that_can_not_be_read_is_refused(form: str) -> None:
    with pytest.raises(Incomplete):
        read_form(f"event=ringing&call=c&{form}")


@pytest.mark.parametrize("name", ["call", "leg", "user"])
@pytest.mark.parametrize("value", [["101"], {"number": "101"}, "1" * 256])
def test_what_a_message_is_about_is_never_left_out(name: str, value: object) -> None:
    # The end of a leg would else be the call's, and a call for one subscriber everybody's.
    with pytest.raises(Incomplete) as refused:
        read({"event": "ended", "call": "c", name: value})
    assert [wrong.field for wrong in refused.value.errors] == [name]


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_an_empty_leg_is_none(nothing: object) -> None:
    mapped = read({"event": "ended", "call": "c", "leg": nothing, "user": nothing})

    assert (mapped.events[0].data.leg, mapped.events[0].data.user, mapped.oddities) == ("", None, ())


names = st.sampled_from([field.alias or name for name, field in FieldNames.model_fields.items()] + ["a", "a.b", "x"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(codec=None), max_size=20)
    | st.sampled_from(["ringing", "ended", "incoming", "answered", "1772442904", "2026-03-02 10:15:03", "https://["])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=8
)
MAPPED = {
    "fields": {
        **{
            name: [name, f"a.{name}", f"x.0.{name}"]
            for name in ("leg", "from", "to", "outcome", "user_ids", "recording")
        },
        "event": "event",
        "call": ["call", "a.b"],
        "time": "time",
        "duration_seconds": "a",
    },
    "time_format": "%Y-%m-%d %H:%M:%S",
    "durations": "clock",
    "defaults": {"event": "ended"},
}


@given(st.dictionaries(names, values, max_size=10), st.sampled_from([None, MAPPED, {**MAPPED, "time": "always"}]))
def test_any_fields_become_an_event_that_can_be_read_or_a_refusal(
    sent: dict[str, Any], mapping: dict[str, Any] | None
) -> None:
    try:
        events = read({"event": "ringing", "call": "c", **sent}, channel(mapping=mapping)).events
    except Refused:
        return
    for event in events:
        assert parse(event.to_json()) == event


def test_folders_hold_what_they_say() -> None:
    for name in ("generic", "datera"):
        origins = {json.loads(path.read_bytes())["origin"] for path in Path(FOLDER / name).glob("fixtures/*.in.json")}
        assert origins == {"inferred"}
