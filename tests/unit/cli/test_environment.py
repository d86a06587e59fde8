"""Where the command line takes its settings from."""

from pathlib import Path

import pytest

from callbus.cli.environment import Environment, MissingSetting


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "env").write_text(
        "# written by make run\nCALLBUS_POSTGRES_DSN='postgres://local host'\nexport CALLBUS_BASE_URL=http://x\nPATH=/no\n"
    )
    return tmp_path


def test_the_local_run_in_the_working_directory_is_found(directory: Path) -> None:
    read = Environment.read({"HOME": "/", "CALLBUS_BASE_URL": "https://bus.example"}, directory)
    assert read.values == {"CALLBUS_POSTGRES_DSN": "postgres://local host", "CALLBUS_BASE_URL": "https://bus.example"}


def test_a_named_server_never_meets_the_local_runs_secrets(directory: Path) -> None:
    read = Environment.read({"CALLBUS_AMQP_URL": "amqp://production"}, directory)
    assert read.values == {"CALLBUS_AMQP_URL": "amqp://production"}


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingSetting, match=r"^CALLBUS_POSTGRES_DSN is not set \(and there is no \.run/env here\)$"):
        Environment.read({}, tmp_path).get("CALLBUS_POSTGRES_DSN")
    with pytest.raises(MissingSetting, match="read only where no server is named"):
        Environment.read({"CALLBUS_AMQP_URL": "amqp://production"}, tmp_path).get("CALLBUS_POSTGRES_DSN")


def test_the_servers_addresses_may_be_files(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "callbus_amqp_url").write_text("amqp://production\n")
    read = Environment.read({"CALLBUS_SECRETS_DIR": str(tmp_path)}, directory)
    assert read.values == {"CALLBUS_SECRETS_DIR": str(tmp_path), "CALLBUS_AMQP_URL": "amqp://production"}
