"""The contract as others see it: samples, schemas and the AsyncAPI document say the same as the models."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.events import CATALOGUE, InvalidEvent, Raw, document, parse, type_of
from shared.events.ids import call_uid, event_id, shard

SAMPLES = sorted((document.HERE / "samples").glob("*/*.json"))
CATALOGUE_TEXT = (document.HERE / "README.md").read_text()


def sample_id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_every_event_has_samples_and_parties_and_a_place_in_the_catalogue() -> None:
    types = {type_of(event) for event in CATALOGUE}
    assert {path.parent.name for path in SAMPLES} == types
    assert set(document.PARTIES) == types
    assert all(f"`{t}`" in CATALOGUE_TEXT for t in types)


@pytest.mark.parametrize("path", SAMPLES, ids=sample_id)
def test_sample_is_an_event_and_is_published_as_it_reads(path: Path) -> None:
    wire = json.loads(path.read_text())
    event = parse(path.read_bytes())
    assert event.type == path.parent.name
    assert json.loads(event.to_json()) == wire


@pytest.mark.parametrize("path", SAMPLES, ids=sample_id)
def test_sample_fits_its_schema(path: Path) -> None:
    schema = json.loads((document.HERE / "schemas" / f"{path.parent.name}.json").read_text())
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        json.loads(path.read_text())
    )


def test_generated_documents_are_current() -> None:
    stale = [path.name for path, text in document.files().items() if path.read_text() != text]
    assert not stale, "run: python -m shared.events.document"


def test_asyncapi_refers_only_to_what_it_has() -> None:
    api = document.asyncapi()

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            return [v for k, v in node.items() if k == "$ref"] + [r for v in node.values() for r in references(v)]
        return [r for item in node for r in references(item)] if isinstance(node, list) else []

    for reference in references(api):
        path, _, pointer = reference.partition("#")
        target: Any = json.loads((document.HERE / path).read_text()) if path else api
        for step in pointer.strip("/").split("/") if pointer else []:
            target = target[step]
        assert target


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "Invalid JSON"),
        (b"[]", "Input should be"),
        (b'{"type":"call.exploded.v1"}', "call.exploded.v1"),
        (b'{"type":"call.ringing.v1"}', "call.ringing.v1.id: Field required"),
    ],
)
def test_what_is_no_event_is_refused_with_its_fault(body: bytes, fault: str) -> None:
    with pytest.raises(InvalidEvent, match=fault):
        parse(body)


def test_an_end_without_an_outcome_is_refused() -> None:
    wire = json.loads((document.HERE / "samples/call.ended.v1/leg_answered.json").read_text())
    del wire["data"]["outcome"]
    with pytest.raises(InvalidEvent, match=r"data\.outcome"):
        parse(json.dumps(wire).encode())


def test_a_time_without_a_zone_is_refused() -> None:
    wire = json.loads((document.HERE / "samples/call.ringing.v1/incoming.json").read_text())
    wire["time"] = "2026-03-02T09:15:04"
    with pytest.raises(InvalidEvent, match="timezone"):
        parse(json.dumps(wire).encode())


def test_a_nul_character_is_refused_before_a_database_sees_it() -> None:
    wire = json.loads((document.HERE / "samples/call.noted.v1/recording.json").read_text())
    wire["data"]["comment"] = "a\0b"
    with pytest.raises(InvalidEvent, match="NUL"):
        parse(json.dumps(wire).encode())


def test_fields_of_a_later_release_are_ignored() -> None:
    wire = json.loads((document.HERE / "samples/call.ringing.v1/incoming.json").read_text())
    known = parse(json.dumps(wire).encode())
    wire["data"]["mood"] = "cheerful"
    wire["novelty"] = 1
    assert parse(json.dumps(wire).encode()) == known


def test_a_fault_never_repeats_what_was_sent() -> None:
    wire = json.loads((document.HERE / "samples/call.ringing.v1/incoming.json").read_text())
    wire["data"]["from"] = "+48220000101"
    with pytest.raises(InvalidEvent) as refusal:
        parse(json.dumps(wire).encode())
    assert "48220000101" not in str(refusal.value)


@pytest.mark.parametrize("body", [b"", b"status=callend", b"\xff\xfe\0", b"a\0b", "ą".encode() * 5000, b"\xff" * 5000])
def test_raw_words_come_back_byte_for_byte(body: bytes) -> None:
    raw = Raw.pack(body)
    assert raw.unpack() == body
    assert "\0" not in raw.body
    assert len(raw.body) < 5000


def test_identities_are_fixed_for_ever() -> None:
    uid = call_uid(3, "a1b2c3@sip.example")
    assert str(uid) == "af01ee17-a33f-50bb-bf50-77e4325660bf"
    assert str(event_id(uid, {"b": "2", "a": "1"}, 1)) == "6c3855da-c8c5-5164-911b-7b0c5ea67ac6"
    assert shard(uid) == "15"
    assert shard(17) == "01"


def test_identities_tell_channels_fields_and_ordinals_apart() -> None:
    uid = call_uid(1, "x")
    assert uid != call_uid(2, "x")
    assert event_id(uid, {"a": "1", "b": "2"}) == event_id(uid, {"b": "2", "a": "1"})
    assert len({event_id(uid, {"a": "1"}), event_id(uid, {"a": "2"}), event_id(uid, {"a": "1"}, 1)}) == 3
