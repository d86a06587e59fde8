"""`python -m callbus.player`: calls of every provider, as `make demo` shows them."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from callbus.player.play import Player, Refused, session
from callbus.player.stories import STORIES
from callbus.player.story import Cast, Step, Story


def main() -> int:
    """Play until the calls are told, or until Ctrl-C; return the exit status."""
    arguments = _arguments()
    try:
        demo = json.loads(arguments.file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"demo: {arguments.file} describes no running system; start one: make run ({error})", file=sys.stderr)
        return 1
    try:
        asyncio.run(_play(arguments, Cast(demo, arguments.seed)))
    except KeyboardInterrupt:
        return 130
    except Refused as refused:
        print(f"demo: {refused}", file=sys.stderr)
        return 1
    return 0


async def _play(arguments: argparse.Namespace, cast: Cast) -> None:
    began = time.monotonic()
    counts = {"requests": 0}
    stories = list(_schedule(arguments, cast))
    if not arguments.json:
        print(f"{len(stories)} calls of {len({story.provider for _, story in stories})} providers; Ctrl-C ends it")

    def told(story: Story, step: Step, status: int, again: bool) -> None:
        counts["requests"] += 1
        if arguments.json:
            return
        seconds = time.monotonic() - began
        done = f"[{counts['requests']:>4}]"
        says = f"{step.says}, told again" if again else step.says
        print(f"{done} {seconds:7.1f} s  {story.provider:<12} {story.call_key:<31} {says}  ({status})", flush=True)

    async with session() as client:
        await _find(client, cast.demo["base_url"], arguments.file)
        await Player(client, speed=arguments.speed, told=told).play(stories)
    if arguments.json:
        for _, story in stories:
            names = ("provider", "title", "call_key", "outcome", "answered_by")
            print(json.dumps({name: getattr(story, name) for name in names}))
        return
    seconds = time.monotonic() - began
    print(f"done: {len(stories)} calls, {counts['requests']} requests in {seconds:.0f} s. As history has them:")
    print(f"  curl '{cast.demo['base_url']}/voip/calls.json?api_token={cast.demo['account']['api_token']}'")


async def _find(client: aiohttp.ClientSession, base_url: str, file: Path) -> None:
    """Raise `Refused` where nothing is at `base_url`: the system was stopped, for what a provider retries is not."""
    try:
        async with client.get(f"{base_url}/status"):
            pass
    except (aiohttp.ClientError, TimeoutError):
        raise Refused(f"nothing answers at {base_url}, which {file} names; start it: make run") from None


def _schedule(arguments: argparse.Namespace, cast: Cast) -> Iterator[tuple[float, Story]]:
    """Calls begin one after the other, and overlap."""
    for number in range(arguments.calls):
        yield number * arguments.every, STORIES[number % len(STORIES)](cast)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m callbus.player", description=__doc__)
    parser.add_argument("--file", type=Path, default=Path(".run/demo.json"), help="what `make run` wrote")
    parser.add_argument("--calls", type=_count, default=len(STORIES), help="how many calls (default: one of each kind)")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="a call begins so often")
    parser.add_argument("--speed", type=_speed, default=1.0, help="2 = twice as fast as on real telephones")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same seed tells the same calls")
    parser.add_argument("--json", action="store_true", help="print what was told as JSON, a line per call, at the end")
    return parser.parse_args()


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("from 1 on")
    return count


def _speed(text: str) -> float:
    if not 0 < (speed := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError("more than 0")
    return speed


if __name__ == "__main__":
    sys.exit(main())
