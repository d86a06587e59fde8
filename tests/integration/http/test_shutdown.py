"""A service process from its start to SIGTERM."""

import asyncio
import json
import signal
import sys
from typing import Any

import aiohttp
import pytest

_PROGRAM = """
import asyncio, sys
from aiohttp import web
from shared.http import Readiness, create_app, run_app, run_in_background
from shared.logging import configure
from shared.settings import HttpSettings

async def slow(request):
    print("begun", file=sys.stderr, flush=True)
    await asyncio.sleep(0.5)
    return web.Response(text="done")

async def ends():
    await asyncio.sleep(0.05)
    raise RuntimeError("the broker loop has ended")

async def background(app):
    run_in_background(app, "broker", ends())
    yield
    print("cleaned", file=sys.stderr, flush=True)

configure("test")
settings = HttpSettings(shutdown_seconds=5)
app = create_app("test", settings, readiness=Readiness())
app.router.add_get("/slow", slow)
if "fails" in sys.argv:
    app.cleanup_ctx.append(background)
sys.exit(run_app(app, settings, use_uvloop="uvloop" in sys.argv))
"""


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-c", _PROGRAM, *arguments, stdout=pipe, stderr=pipe)


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(await process.stdout.readline())
    return line


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_signal_lets_the_request_in_flight_finish_and_exits_with_0(loop: str, stop: signal.Signals) -> None:
    process = await _start(loop)
    started = await _line(process)
    assert process.stderr is not None

    async with aiohttp.ClientSession(f"http://127.0.0.1:{started['port']}") as client:
        request = asyncio.create_task(client.get("/slow"))
        assert await process.stderr.readline() == b"begun\n"
        process.send_signal(stop)
        answer = await request
        assert (answer.status, await answer.text()) == (200, "done")

    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert (await _line(process))["event"] == "service_stopped"


async def test_background_work_that_ends_takes_the_process_down_in_order_with_1() -> None:
    process = await _start("uvloop", "fails")

    out, err = await asyncio.wait_for(process.communicate(), 10)

    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert (process.returncode, err, events) == (
        1,
        b"cleaned\n",
        ["service_started", "background_work_ended", "service_stopped"],
    )
