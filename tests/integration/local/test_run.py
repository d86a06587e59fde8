"""`make run` says in one line why it can't start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from callbus.local.parts import CHECKOUT
from callbus.local.processes import NotReady
from callbus.local.system import System

RUN = "import sys; from pathlib import Path; from callbus.local import run; run.CHECKOUT = Path(sys.argv[1]); "


def said_by_run(directory: Path, change: str = "pass", **environment: str) -> str:
    """Return what a run in `directory` that fails writes to stderr."""
    ended = subprocess.run(
        [sys.executable, "-c", f"{RUN}{change}; sys.exit(run.main())", str(directory)],
        cwd=CHECKOUT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    return ended.stderr


def test_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / ".run").touch()
    said = said_by_run(tmp_path)
    assert (said.startswith("callbus: "), said.count("\n"), ".run" in said) == (True, 1, True)


def test_port_that_is_no_number_is_named(tmp_path: Path) -> None:
    assert said_by_run(tmp_path, CALLBUS_PORT="http") == "callbus: CALLBUS_PORT is not a port: http\n"


def test_database_sealed_with_another_master_key_is_named(tmp_path: Path) -> None:
    change = (
        "from shared.secrets import SealError; run.System.start = lambda _: (_ for _ in ()).throw(SealError('key'))"
    )
    assert said_by_run(tmp_path, change) == "callbus: key\n"


def test_server_given_without_a_database_is_refused(tmp_path: Path) -> None:
    given = System(tmp_path, amqp_url="amqp://127.0.0.1:1/", postgres_dsn="postgresql://admin:secret@127.0.0.1:1")
    with pytest.raises(NotReady, match="names no database"):
        given.start()
