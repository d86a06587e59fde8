"""What run.sh does with the running containers: calls of each provider, and each container killed once.

    python3 drive.py BASE_URL        CALLBUS_COMPOSE holds the compose command

Uses nothing but the standard library; everything of Callbus is asked for in its containers or at the edge.
"""

import json
import os
import shlex
import subprocess
import sys
import time
import urllib.request
from typing import Any

COMPOSE = shlex.split(os.environ["CALLBUS_COMPOSE"])
BASE = sys.argv[1]
STARTED = time.monotonic()
PATIENCE_SECONDS = 120


def say(text: str) -> None:
    sys.stderr.write(f"compose:        {text} ({time.monotonic() - STARTED:.0f} s)\n")


def compose(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run([*COMPOSE, *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"compose {' '.join(arguments)}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    return done.stdout


def administrator(program: str, *arguments: str) -> str:
    """Run a program in a container of the administrator, its checkout's demo description kept in this process."""
    return compose("run", "--rm", "-T", "--no-deps", "migrate", *shlex.split(program), *arguments)


def get(path: str, token: str) -> Any:
    request = urllib.request.Request(BASE + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=15) as answer:
        return json.load(answer)


def stories_are_in_history(told: list[dict[str, Any]], token: str) -> None:
    """Return when every call that was played is in history as it should be."""
    wanted = {story["call_key"]: story["outcome"] for story in told}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        items = get("/api/v1/calls?limit=500", token)["items"]
        outcomes = {item["call_key"]: item["outcome"] for item in items}
        missing = {key: (outcome, outcomes.get(key)) for key, outcome in wanted.items() if outcomes.get(key) != outcome}
        if not missing:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"not in history as played (wanted, found): {missing}")
        time.sleep(0.5)


def play(demo: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Play one call of each kind, quickly; return what was told."""
    out = compose(
        *("run", "--rm", "-T", "--no-deps", "migrate", "python", "-m", "callbus.player"),
        *("--file", "/dev/stdin", "--speed", "50", "--every", "0.2", "--seed", str(seed), "--json"),
        text=json.dumps(demo).replace(BASE, "http://caddy:8080"),
    )
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def main() -> None:
    demo = json.loads(administrator("python -m callbus.demo"))
    token = demo["account"]["api_token"]
    told = play(demo, 1)
    stories_are_in_history(told, token)
    say(f"{len(told)} calls of {len({story['provider'] for story in told})} providers are in history")
    for seed, service in enumerate(("history", "ingest", "rabbitmq", "postgres"), start=2):
        compose("kill", "-s", "SIGKILL", service)
        # Docker does not restart what was killed by hand.
        compose("up", "-d", "--wait", "--no-recreate")
        told = play(demo, seed)
        stories_are_in_history(told, token)
        say(f"{service} killed and started again: {len(told)} more calls are in history")


main()
