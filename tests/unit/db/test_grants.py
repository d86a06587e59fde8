"""Role names and password verifiers."""

import base64

import pytest

from shared.db.errors import MigrationError
from shared.db.grants import role_of, scram_verifier


def test_verifier_is_the_one_of_the_standard() -> None:
    # RFC 7677, section 3: password "pencil", 4096 rounds.
    assert scram_verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
        "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize("password", ["", "żółw", "two\nlines"])
def test_a_password_that_would_not_arrive_as_written_is_refused(password: str) -> None:
    with pytest.raises(MigrationError):
        scram_verifier(password, b"salt")


def test_a_role_name_that_would_be_cut_is_refused() -> None:
    with pytest.raises(MigrationError, match="too long"):
        role_of("d" * 60, "history")
