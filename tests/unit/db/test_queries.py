"""SQL files by name."""

from pathlib import Path

import pytest

from shared.db import Queries


def load(tmp_path: Path, text: str) -> Queries:
    file = tmp_path / "queries.sql"
    file.write_text(text)
    return Queries.load(file)


def test_statements_are_found_by_name_with_their_comments(tmp_path: Path) -> None:
    queries = load(tmp_path, "-- about\n\n-- name: one\n-- why\nSELECT 1\n\n-- name: two\nSELECT 2\n")
    assert dict(queries) == {"one": "-- why\nSELECT 1", "two": "SELECT 2"}
    assert queries.two == "SELECT 2"


def test_an_unknown_name_is_an_attribute_error(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="three"):
        _ = load(tmp_path, "-- name: one\nSELECT 1").three


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-- name: one\nSELECT 1\n-- name: one\nSELECT 2", "twice"),
        ("-- name: one\n-- nothing here\n-- name: two\nSELECT 2", "empty"),
        ("SELECT 0;\n-- name: one\nSELECT 1", "before"),
    ],
)
def test_a_careless_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        load(tmp_path, text)
