"""Settings come from CALLBUS_* variables, can't be changed and never show their secrets."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.settings import ServiceSettings

_URL = "amqp://someone:hunter2@127.0.0.1:5672/"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBUS_AMQP_URL", _URL)
    monkeypatch.setenv("CALLBUS_POSTGRES_DSN", "postgresql://someone:hunter2@127.0.0.1/callbus")


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBUS_LISTEN_PORT", "8123")

    settings = ServiceSettings.from_environment()

    assert (settings.amqp_url.get_secret_value(), settings.listen_port) == (_URL, 8123)


def test_settings_can_not_be_changed() -> None:
    with pytest.raises(ValidationError):
        ServiceSettings.from_environment().log_level = "debug"  # type: ignore[misc]


def test_settings_never_show_their_secrets() -> None:
    assert "hunter2" not in repr(ServiceSettings.from_environment())


def test_a_wrong_setting_is_named_without_repeating_what_it_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBUS_LISTEN_PORT", "hunter2")

    with pytest.raises(ValidationError, match="listen_port") as error:
        ServiceSettings.from_environment()

    assert "hunter2" not in str(error.value)


def test_what_is_no_variable_is_read_from_a_file_of_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "callbus_postgres_dsn").write_text("postgresql://from-a-file/callbus\n")
    (tmp_path / "callbus_amqp_url").write_text("amqp://not-this-one/")
    (tmp_path / "master.key").write_text("something else")
    monkeypatch.delenv("CALLBUS_POSTGRES_DSN")
    monkeypatch.setenv("CALLBUS_SECRETS_DIR", str(tmp_path))

    settings = ServiceSettings.from_environment()

    assert settings.postgres_dsn.get_secret_value() == "postgresql://from-a-file/callbus"
    assert settings.amqp_url.get_secret_value() == _URL
