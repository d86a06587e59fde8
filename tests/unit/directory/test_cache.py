"""The snapshot on disk survives what happens to files."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.directory import DirectoryReader, Part, cache

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PARTS = (Part.CHANNELS, Part.KEYS)
DOCUMENT = b'{"version":7,"channels":[{"id":1,"account_id":1,"provider":"supervoip","name":"a"}]}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "data" / "directory"
    cache.write(file, PARTS, DOCUMENT, NOON)
    return file


def test_what_was_written_is_read_and_nobody_else_may(file: Path) -> None:
    snapshot, read_at = cache.read(file, PARTS)
    assert (snapshot.version, snapshot.channels[1].provider, read_at) == (7, "supervoip", NOON)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["directory"]


@pytest.mark.parametrize("kept", [0, 10, 100, -1])
def test_a_torn_file_is_refused(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError):
        cache.read(file, PARTS)


def test_a_file_with_other_parts_is_refused(file: Path) -> None:
    with pytest.raises(ValueError, match="holds channels,keys"):
        cache.read(file, [Part.CHANNELS])


def test_contacts_are_never_cached(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not for a cache"):
        DirectoryReader("postgres://", [Part.CONTACTS], cache_file=tmp_path / "x")
