"""The curl lines of every provider's README, pasted into a shell: what they show is taken."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest

from callbus.local.parts import CHECKOUT
from callbus.local.system import System

READMES = sorted((CHECKOUT / "services" / "ingest" / "providers").glob("*/README.md"))
MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(1000)


def commands(readme: Path) -> list[str]:
    """Return the lines to paste, in order."""
    return re.findall(r"^    ((?:curl|[A-Z]+=).*)$", readme.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("readme", READMES, ids=lambda readme: readme.parent.name)
async def test_what_a_providers_readme_shows_is_taken(system: System, readme: Path, tmp_path: Path) -> None:
    provider = readme.parent.name
    lines = commands(readme)
    assert lines or provider == "datera"  # which is the generic hook by another name
    (tmp_path / "call.mp3").write_bytes(MP3)
    script = "\n".join(line.replace("curl ", "curl -sS -o answer -w '%{http_code}\\n' ", 1) for line in lines)
    given = {
        "URL": system.demo["channels"][provider]["url"],
        "PARTNER_TOKEN": system.demo["partner"]["token"],
        "CRM_TOKEN": system.demo["account"]["crm_token"],
    }
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-euc", script],
        cwd=tmp_path,
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    wanted = ["202" if provider == "partner" else "200"] * sum(line.startswith("curl") for line in lines)
    assert (done.stdout.split(), done.stderr) == (wanted, "")
    if (answer := tmp_path / "answer").exists():
        assert '"accepted":false' not in answer.read_text()
