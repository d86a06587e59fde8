"""Migration files are numbered without gaps."""

from pathlib import Path

import pytest

from shared.db.errors import MigrationError
from shared.db.migrations import all_services, load


@pytest.mark.parametrize(
    "names", [["0002_b.sql"], ["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "0001_b.sql"], ["a.sql"]]
)
def test_a_gap_or_a_stray_file_is_refused(tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "desk" / "sql" / "migrations"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("SELECT 1")
    with pytest.raises(MigrationError):
        load("desk", tmp_path)


def test_a_service_without_sql_has_no_migrations(tmp_path: Path) -> None:
    assert load("desk", tmp_path) == []


def test_routing_is_migrated_first_because_the_others_read_its_schema() -> None:
    assert all_services()[0] == "routing"
