"""Links to recordings: what they allow, and to whom nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

import pytest

from shared.recordings import ExpiredLink, InvalidLink, Links, audio_type

UID = UUID("0470ed2a-3745-525b-a6ac-8c76e888dfb6")
SHA256 = "ab" * 32
NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
LINKS = Links(b"a key of the tests", "https://desk.example.org/")


def query_of(link: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(link).query))


def test_a_link_names_one_recording_until_it_is_over() -> None:
    link = LINKS.link(7, UID, SHA256, NOW + timedelta(hours=24))

    assert link.startswith(f"https://desk.example.org/api/v1/calls/{UID}/recording?account=7&sha256={SHA256}&expires=")
    assert link == LINKS.link_of(f"7/{UID}/{SHA256}", NOW + timedelta(hours=24))
    for at in (NOW, NOW + timedelta(hours=23, minutes=59)):
        assert LINKS.verify(UID, query_of(link), at) == f"7/{UID}/{SHA256}"
    with pytest.raises(ExpiredLink):
        LINKS.verify(UID, query_of(link), NOW + timedelta(hours=24))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account", "8"),
        ("account", "07"),
        ("account", ""),
        ("account", "٧"),
        ("sha256", "cd" * 32),
        ("sha256", "AB" * 32),
        ("sha256", "../" * 21 + "x"),
        ("expires", "99999999999"),
        ("expires", "999999999999999999999999"),
        ("expires", "-1"),
        ("expires", "1e9"),
        ("signature", ""),
        ("signature", "A" * 43),
        ("signature", "\udc80ż"),
    ],
)
def test_a_changed_link_is_none_of_ours(name: str, value: str) -> None:
    query = query_of(LINKS.link(7, UID, SHA256, NOW + timedelta(hours=24)))

    with pytest.raises(InvalidLink):
        LINKS.verify(UID, {**query, name: value}, NOW)
    with pytest.raises(InvalidLink):
        LINKS.verify(UID, {key: text for key, text in query.items() if key != name}, NOW)


def test_links_of_another_call_or_another_key_are_none_of_ours(tmp_path: Path) -> None:
    query = query_of(LINKS.link(7, UID, SHA256, NOW + timedelta(hours=24)))
    (tmp_path / "link.key").write_text("a key of the tests\n")
    (tmp_path / "other.key").write_text("another key of the tests\n")

    assert Links.from_file(tmp_path / "link.key", "").verify(UID, query, NOW)
    with pytest.raises(InvalidLink):
        Links.from_file(tmp_path / "other.key", "").verify(UID, query, NOW)
    with pytest.raises(InvalidLink):
        LINKS.verify(uuid4(), query, NOW)
    with pytest.raises(InvalidLink):
        LINKS.verify(UID, {}, NOW)


def test_a_key_that_is_no_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer than 16"):
        Links(b"short", "")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"ID3\x04\x00", "audio/mpeg"),
        (b"\xff\xfb\x90\x44", "audio/mpeg"),
        (b"\xff\xf3\x48\xc4", "audio/mpeg"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"OggS\x00\x02", "audio/ogg"),
        (b"", None),
        (b"\xff\xfb", None),
        (b"\xff\xfe<\x00h\x00", None),  # UTF-16 text
        (b"\xff\xf1\x50\x80", None),  # AAC as a stream
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", None),
        (b"RIFF\x24\x00\x00\x00WEBP", None),
        (b"<html>", None),
        (b"\x7fELF", None),
        (b"MZ\x90\x00", None),
        (b"#!/bin/sh\n", None),
    ],
)
def test_what_a_file_is_by_its_first_bytes(head: bytes, expected: str | None) -> None:
    assert audio_type(head) == expected
