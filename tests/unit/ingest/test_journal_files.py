"""A file of the journal: what was written is read again, whatever happens to the process or the file."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.journal.entries import HEAD_BYTES, Deferred, Entry, Foreign, pack
from services.ingest.journal.files import FIRST, SUFFIX, Damaged, JournalFile, Strange
from shared.bus import Message

FEW: list[Entry] = [
    *(Message("calls", f"call.ringing.v1.{n:02d}", f'{{"n":{n}}}'.encode(), f"id-{n}") for n in range(3)),
    Deferred("partner", b"\0\xff{}"),
]
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ENTRIES = st.lists(
    st.builds(lambda *parts: Message(*parts), WORDS, WORDS, st.binary(max_size=300), WORDS)
    | st.builds(Deferred, WORDS, st.binary(max_size=300)),
    min_size=1,
    max_size=20,
)


def everything(file: JournalFile) -> list[Entry]:
    found: list[Entry] = []
    while not file.is_done:
        for entry, end in file.read():
            found.append(entry)
            file.forwarded(end)
    return found


def what_is_left(path: Path) -> list[Entry]:
    """Return what comes of a file that may be damaged, as it is forwarded and kept."""
    file = JournalFile.adopt(path)
    assert file is not None
    found: list[Entry] = []
    while not file.is_done:
        try:
            for entry, end in file.read():
                found.append(entry)
                file.forwarded(end)
        except Damaged:
            assert file.skip_damage() > 0
    kept = file.finish()
    assert (kept is not None) == file.is_damaged
    return found


@given(entries=ENTRIES)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    file = JournalFile.create(tmp_path_factory.mktemp("journal"))
    file.append(pack(entries))

    assert everything(file) == entries
    assert file.finish() is None


def test_a_big_entry_and_many_small_ones_are_read_whole(tmp_path: Path) -> None:
    big: list[Entry] = [Message("calls", "k", os.urandom(3_000_000), "big")]
    many: list[Entry] = [Message("calls", "k", bytes(1000), str(n)) for n in range(2000)]
    file = JournalFile.create(tmp_path)
    for entries in (FEW, big, many):
        file.append(pack(entries))

    assert everything(file) == FEW + big + many


def test_a_file_is_one_processes_at_a_time_and_anybodys_when_let_go(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW))
    assert JournalFile.adopt(file.path) is None
    first = [entry for entry, _ in file.read()]
    file.release()

    again = JournalFile.adopt(file.path)

    assert again is not None
    assert (first, everything(again)) == (FEW, FEW)
    again.finish()
    assert list(tmp_path.iterdir()) == []
    assert JournalFile.adopt(again.path) is None


def test_what_was_forwarded_is_not_forwarded_again(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW[:2]))
    file.forwarded(file.read()[-1][1])
    file.append(pack(FEW[2:]))
    file.release()

    again = JournalFile.adopt(file.path)

    assert again is not None
    assert everything(again) == FEW[2:]


def test_a_disk_that_can_only_be_read_any_more_is_read_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW))

    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, "read-only file system")

    monkeypatch.setattr(os, "pwrite", refuse)
    assert everything(file) == FEW


def test_a_killed_process_leaves_its_file_to_others(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from services.ingest.journal.files import JournalFile, pack
from shared.bus import Message
JournalFile.create(Path({str(tmp_path)!r})).append(pack([Message("calls", "k", b"body", "id")]))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)

    (path,) = tmp_path.glob(f"*{SUFFIX}")
    file = JournalFile.adopt(path)

    assert file is not None
    assert everything(file) == [Message("calls", "k", b"body", "id")]


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_end_is_cut_off_and_all_before_it_is_there(tmp_path: Path, cut: int) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW))
    last = Message("calls", "k", bytes(range(40)), "torn")
    file.append(pack([last]))
    file.release()
    os.truncate(file.path, file.size - cut)

    again = JournalFile.adopt(file.path)

    assert again is not None
    assert everything(again) == FEW


def test_zeros_at_the_end_are_what_a_crash_of_the_machine_leaves(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW) + bytes(4096))

    assert everything(file) == FEW


def flip(path: Path, place: int, bits: int = 0xFF) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= bits
    path.write_bytes(content)


def start_of(number: int) -> int:
    """Where an entry of `FEW` begins."""
    return FIRST + len(pack(FEW[:number]))


def test_damage_in_the_middle_is_told_after_all_before_it_and_all_behind_it_is_there(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW))
    flip(file.path, start_of(2) + HEAD_BYTES + 3)
    damaged = file.path.read_bytes()

    entries = file.read()
    file.forwarded(entries[-1][1])

    assert [entry for entry, _ in entries] == FEW[:2]
    with pytest.raises(Damaged):
        file.read()
    assert file.skip_damage() == len(pack(FEW[2:3]))
    assert everything(file) == FEW[3:]
    kept = file.finish()
    assert kept is not None
    assert kept.read_bytes()[FIRST:] == damaged[FIRST:]
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize("number", range(len(FEW)))
@pytest.mark.parametrize("place", range(HEAD_BYTES + 1))
def test_a_damaged_head_of_an_entry_costs_that_entry_alone_and_is_told(tmp_path: Path, number: int, place: int) -> None:
    """Not least a length: one that leads beyond the end must not pass for an entry that was being written."""
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW))
    file.release()
    flip(file.path, start_of(number) + place)

    assert what_is_left(file.path) == FEW[:number] + FEW[number + 1 :]
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]


@pytest.mark.parametrize("place", range(FIRST))
def test_a_damaged_head_of_the_file_costs_nothing(tmp_path: Path, place: int) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW))
    file.forwarded(file.read()[0][1])
    file.release()
    flip(file.path, place, 0x01)

    assert what_is_left(file.path) == FEW  # once more from the beginning


@given(entries=ENTRIES, data=st.data())
def test_whatever_bits_are_flipped_nothing_is_invented_and_no_more_is_lost_than_they_hit(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], data: st.DataObject
) -> None:
    file = JournalFile.create(tmp_path_factory.mktemp("journal"))
    file.append(pack(entries))
    file.release()
    places = data.draw(st.sets(st.integers(0, file.size - 1), max_size=3))
    for place in places:
        flip(file.path, place, data.draw(st.integers(1, 255)))
    starts = [FIRST + len(pack(entries[:number])) for number in range(len(entries) + 1)]
    hit = {number for number in range(len(entries)) if any(starts[number] <= at < starts[number + 1] for at in places)}
    sound = [entry for number, entry in enumerate(entries) if number not in hit]

    try:
        left = what_is_left(file.path)
    except Strange:  # its head and all its entries
        left = []
        assert file.path.exists()

    assert left == sound


def test_a_piece_of_the_file_that_was_lost_by_the_disk_is_told(tmp_path: Path) -> None:
    many: list[Entry] = [Message("calls", "k", bytes(1000), str(n)) for n in range(1000)]
    file = JournalFile.create(tmp_path)
    file.append(pack(many))
    file.release()
    hole = range(FIRST + 2000, FIRST + 2000 + 600_000)
    content = bytearray(file.path.read_bytes())
    content[hole.start : hole.stop] = bytes(len(hole))
    file.path.write_bytes(content)
    each = len(pack(many[:10])) // 10

    left = what_is_left(file.path)

    assert len(many) - len(left) <= len(hole) // each + 2
    assert (left[0], left[-1]) == (many[0], many[-1])


def test_a_file_deleted_beneath_its_writer_takes_nothing_more(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW[:2]))
    file.path.unlink()

    with pytest.raises(OSError, match="deleted"):
        file.append(pack(FEW[2:]))
    assert everything(file) == FEW[:2]  # as long as we live


def test_what_another_release_wrote_is_kept_as_it_is(tmp_path: Path) -> None:
    strange: list[Entry] = [
        Foreign(b"\x07something"),
        Foreign(b"\x00\x00\x09torn"),
        Foreign(b"\x01\x00\x02\xff\xff"),
        Foreign(b""),
    ]
    file = JournalFile.create(tmp_path)
    file.append(pack([*strange, *FEW]))

    assert everything(file) == [*strange, *FEW]


def test_what_is_kept_aside_is_a_journal_by_another_name(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    for entry in FEW:
        kept = file.keep_aside([entry])
    file.finish()
    assert list(tmp_path.glob(f"*{SUFFIX}")) == []
    again = kept.rename(kept.with_suffix(SUFFIX))

    assert what_is_left(again) == FEW


@pytest.mark.parametrize("content", [b"something else entirely, and long enough to be a head", b"callbus", b""])
def test_what_is_no_journal_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"0-x{SUFFIX}"
    path.write_bytes(content)

    with pytest.raises(Strange):
        JournalFile.adopt(path)
    assert path.read_bytes() == content
