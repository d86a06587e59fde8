"""What is installed is locked, by hash, from the public indexes alone."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = [ROOT / "uv.lock", *sorted((ROOT / "requirements").glob("*.txt"))]
PUBLIC = {"https://pypi.org/simple", "https://files.pythonhosted.org"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_names_only_the_public_indexes(lock: Path) -> None:
    text = lock.read_text()
    assert not re.search(r"file://|index-url|find-links|trusted-host|^/|= \"/", text, re.MULTILINE)
    hosts = set(re.findall(r"https?://[^\s\"']+", text))
    assert all(address in PUBLIC or address.startswith("https://files.pythonhosted.org/") for address in hosts)


def test_requirements_carry_a_hash_each() -> None:
    for path in LOCKS[1:]:
        blocks = re.split(r"\n(?=[a-zA-Z0-9])", path.read_text())
        assert blocks
        assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_requirements_are_what_the_lock_says() -> None:
    locked = {(p["name"], p.get("version")) for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    for path in LOCKS[1:]:
        pinned = set(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", path.read_text(), re.MULTILINE))
        assert pinned
        assert pinned <= locked


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"]]
    wanted += [w for group in project["dependency-groups"].values() for w in group if isinstance(w, str)]
    names = {re.split(r"[\[<>=~! ]", w)[0].lower() for w in wanted}
    pinned = set(re.findall(r"^([A-Za-z0-9_.-]+?)(?:\[[^\]]*\])?==", (ROOT / "requirements/dev.txt").read_text(), re.M))
    assert names <= pinned
