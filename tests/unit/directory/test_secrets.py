"""Secrets: what is sealed opens only where it belongs, with a key that is at hand."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.secrets import Sealer, SealError, equal, hash_token, new_token

OLD, NEW = bytes(range(32)), bytes(range(1, 33))


@given(st.text(), st.text())
def test_what_was_sealed_opens(plain: str, place: str) -> None:
    sealer = Sealer([OLD])
    assert sealer.open(sealer.seal(plain, place), place) == plain


def test_moved_to_another_place_it_does_not_open() -> None:
    sealer = Sealer([OLD])
    with pytest.raises(SealError, match="cannot be opened"):
        sealer.open(sealer.seal("secret", "channel_keys/1/key"), "channel_keys/2/key")


def test_changed_or_cut_bytes_do_not_open() -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal("secret", "x")
    for broken in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:3], b""):
        with pytest.raises(SealError):
            sealer.open(broken, "x")


def test_after_rotation_the_old_key_still_opens_and_the_new_one_seals() -> None:
    before, rotated = Sealer([OLD]), Sealer([NEW, OLD])
    assert rotated.open(before.seal("secret", "x"), "x") == "secret"
    assert Sealer([NEW]).open(rotated.seal("secret", "x"), "x") == "secret"
    with pytest.raises(SealError, match="master key file"):
        Sealer([NEW]).open(before.seal("secret", "x"), "x")


def test_a_key_file_holds_keys_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    file.write_text(f"{Sealer.new_key()}\n{Sealer.new_key()}\n")
    sealer = Sealer.from_file(file)
    assert sealer.open(sealer.seal("secret", "x"), "x") == "secret"


@pytest.mark.parametrize("text", ["", "bm90IGxvbmcgZW5vdWdo", "not base64!", "ż"])
def test_a_bad_key_file_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "master.key"
    file.write_text(text)
    with pytest.raises(SealError) as refused:
        Sealer.from_file(file)
    assert not text or text not in str(refused.value)


def test_tokens_are_new_each_time_and_compared_as_a_whole() -> None:
    one, two = new_token("cb"), new_token("cb")
    assert one.startswith("cb_")
    assert len(one) > 40
    assert not equal(one, two)
    assert equal(one, one)
    assert len(hash_token(one)) == 32
