"""A file of the journal: what was written is read again, whatever happens to the process or the file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.journal.files import FIRST, SUFFIX, Damaged, Deferred, Entry, JournalFile, pack
from shared.bus import Message

FEW: list[Entry] = [
    Message("calls", f"call.ringing.v1.{n:02d}", f'{{"n":{n}}}'.encode(), f"id-{n}") for n in range(3)
] + [Deferred("partner", b"\0\xff{}")]
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
        entries, end = file.read()
        found += entries
        file.forwarded(end)
    return found


@given(entries=ENTRIES)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    file = JournalFile.create(tmp_path_factory.mktemp("journal"))
    file.append(pack(entries))

    assert everything(file) == entries
    file.remove()


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
    first, _ = file.read()
    file.release()

    again = JournalFile.adopt(file.path)

    assert again is not None
    assert (first, everything(again)) == (FEW, FEW)
    again.remove()
    assert list(tmp_path.iterdir()) == []
    assert JournalFile.adopt(again.path) is None


def test_what_was_forwarded_is_not_forwarded_again(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW[:2]))
    _, end = file.read()
    file.forwarded(end)
    file.append(pack(FEW[2:]))
    file.release()

    again = JournalFile.adopt(file.path)

    assert again is not None
    assert everything(again) == FEW[2:]


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


def test_damage_in_the_middle_is_told_after_all_before_it(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    file.append(pack(FEW))
    whole = bytearray(file.path.read_bytes())
    whole[FIRST + len(pack(FEW[:2])) + 12] ^= 0xFF
    file.path.write_bytes(whole)

    entries, end = file.read()
    file.forwarded(end)

    assert entries == FEW[:2]
    with pytest.raises(Damaged):
        file.read()
    assert file.set_aside().read_bytes()[FIRST + 8 :] == bytes(whole)[FIRST + 8 :]


def test_what_is_no_journal_is_not_adopted(tmp_path: Path) -> None:
    path = tmp_path / f"0-x{SUFFIX}"
    path.write_bytes(b"something else entirely, and long enough to be a head")

    with pytest.raises(Damaged):
        JournalFile.adopt(path)
