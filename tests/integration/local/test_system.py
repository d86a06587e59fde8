"""The composed system under its supervisor, with stand-ins for the services: start, restart, kill, stop, siblings."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from callbus.local import processes
from callbus.local.parts import CHECKOUT, Parts
from callbus.local.surroundings import Surroundings
from callbus.local.system import AlreadyRunning, PortTaken, System
from tests.support.nodes import temporary_directory

STAND_IN = str(CHECKOUT / "tests" / "support" / "stand_in_service.py")
MIGRATE = "import os; print('migrated as', os.environ['CALLBUS_POSTGRES_DSN'].split(':')[1][2:])"


def stand_in(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, STAND_IN, name, *arguments)


def provision(environment: Mapping[str, str]) -> dict[str, Any]:
    return {"account": {"id": 1, "api_token": "secret"}, "made_at": environment["CALLBUS_BASE_URL"]}


PARTS = Parts(
    migrate=(sys.executable, "-c", MIGRATE),
    services={"ingest": stand_in("ingest"), "history": stand_in("history")},
    provision=provision,
)


@contextmanager
def stopped_at_the_end(system: System) -> Iterator[System]:
    try:
        yield system
    finally:
        system.stop()


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with temporary_directory() as directory, stopped_at_the_end(System(directory, parts=PARTS)) as system:
        system.start()
        system._private(system.postgres).execute("CREATE TABLE kept AS SELECT 7 AS number")
        yield system


def get(url: str) -> tuple[int, Mapping[str, str], Any]:
    """Return status, headers and decoded body, whatever the status is."""
    request = urllib.request.Request(url, headers={"X-Forwarded-For": "9.9.9.9"})
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, json.loads(answer.read())


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/hooks/supervoip/key", "ingest"),
        ("/voip/integration", "ingest"),
        ("/voip/integration/", "ingest"),
        ("/api/v1/voip/integration", "ingest"),
        ("/api/v2/telephony/calls/@key", "ingest"),
        ("/readyz", "ingest"),
        ("/hooks/requests/1", "history"),
        ("/voip/calls.json", "history"),
        ("/voip/calls/1.json", "history"),
        ("/voip/integration/calls", "history"),
        ("/api/v1/voip/integration/calls", "history"),
        ("/api/v1/calls", "history"),
        ("/api/v1/calls/1", "history"),
        ("/api/v1/calls/1/recording", "history"),
        ("/api/v1/chains/1/calls", "history"),
        ("/api/v1/locations/1/calls", "history"),
        ("/api/v1/tickets", "history"),
        ("/api/v1/tickets/1", "history"),
        ("/api/v1/missed", "history"),
        ("/api/v1/requests", "history"),
    ],
)
def test_edge_takes_each_path_to_its_service(system: System, path: str, service: str) -> None:
    status, _, answer = get(system.base_url + path)
    assert (status, answer["service"], answer["path"]) == (200, service, path)


def test_edge_tells_services_the_address_that_connected_and_not_what_the_client_claims(system: System) -> None:
    assert get(system.base_url + "/hooks/supervoip/key")[2]["forwarded_for"] == "127.0.0.1"


def test_edge_does_not_tell_what_is_behind_it(system: System) -> None:
    headers = get(system.base_url + "/hooks/supervoip/key")[1]
    assert [value for name, value in headers.items() if name == "Server"] == ["Caddy"]


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/v1/admin", "/api/v1/admin/dead", "/metrics", "/healthz"])
def test_edge_knows_no_other_path(system: System, path: str) -> None:
    status, headers, answer = get(system.base_url + path)
    assert (status, headers["Content-Type"], answer["status"]) == (404, "application/problem+json", 404)


def test_edge_answers_the_crm_in_the_words_of_its_api_where_it_knows_no_path(system: System) -> None:
    status, headers, answer = get(system.base_url + "/voip/nothing.json")
    assert (status, headers["Content-Type"], answer) == (404, "application/json", {"error": "Not Found"})


def test_edge_says_when_a_service_is_away_and_which(system: System) -> None:
    system.stop_program("history")
    status, headers, answer = get(system.base_url + "/api/v1/calls")
    assert (status, headers["Retry-After"], answer["status"]) == (503, "5", 503)
    status, headers, answer = get(system.base_url + "/voip/calls.json")
    assert (status, headers["Retry-After"], headers["Content-Type"]) == (503, "5", "application/json")
    assert answer.keys() == {"error"}
    whole = get(system.base_url + "/status")[2]
    assert (whole["history"], whole["ingest"]["service"]) == ({"ready": False, "reason": "away"}, "ingest")
    system.restart("history")
    assert get(system.base_url + "/voip/calls.json")[0] == 200


def test_edge_tells_a_provider_to_come_back_in_the_words_of_its_api(system: System) -> None:
    system.stop_program("ingest")
    status, headers, answer = get(system.base_url + "/hooks/supervoip/key")
    assert (status, headers["Retry-After"], answer["accepted"]) == (503, "5", False)
    assert answer["request_id"] == headers["X-Request-Id"]
    status, headers, answer = get(system.base_url + "/api/v1/voip/integration")
    assert (status, headers["Retry-After"], answer["success"], answer["data"]) == (503, "5", False, None)
    assert (headers["Content-Type"], bool(answer["meta"]["message"])) == ("application/json", True)
    status, headers, answer = get(system.base_url + "/voip/integration/nothing")
    assert (status, answer) == (404, {"success": False, "data": None, "meta": {}})
    system.restart("ingest")
    assert get(system.base_url + "/hooks/supervoip/key")[0] == 200


def test_killed_programs_come_back(system: System) -> None:
    pid = get(system.base_url + "/hooks/supervoip/key")[2]["pid"]
    system.kill("ingest")
    system.kill("postgres")
    system.wait_ready("ingest")
    system.wait_ready("postgres")
    assert get(system.base_url + "/hooks/supervoip/key")[2]["pid"] != pid
    assert system._private(system.postgres).execute("SELECT number FROM kept") == "7\n"


def test_demo_account_and_settings_are_written_for_their_owner_alone(system: System) -> None:
    demo = system.directory / "demo.json"
    assert json.loads(demo.read_text()) == system.demo
    assert system.demo["made_at"] == system.demo["base_url"] == system.base_url
    assert set(system.demo["services"]) == {"ingest", "history"}
    private = [
        demo,
        system.directory / "env",
        system.directory / "supervisord.conf",
        *(system.surroundings.secrets.iterdir()),
    ]
    assert [path.name for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    assert f"CALLBUS_BASE_URL='{system.base_url}'\n" in (system.directory / "env").read_text()


def test_second_start_in_the_same_directory_is_refused(system: System) -> None:
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        System(system.directory, parts=PARTS).start()
    assert get(system.base_url + "/readyz")[0] == 200


def test_port_that_is_taken_is_named(system: System, tmp_path: Path) -> None:
    with pytest.raises(PortTaken, match=str(system.surroundings.edge_port)):
        System(tmp_path, port=system.surroundings.edge_port, parts=PARTS).start()


def test_port_that_was_asked_for_is_the_next_runs_too(tmp_path: Path) -> None:
    asked = Surroundings(tmp_path, {}, 18123, None)
    asked.prepare()
    assert Surroundings(tmp_path, {}, None, 8080).base_url == asked.base_url == "http://127.0.0.1:18123"


def test_service_that_keeps_dying_is_named_with_its_log(system: System, tmp_path: Path) -> None:
    services = {"ingest": stand_in("ingest"), "history": stand_in("history", "no such schema")}
    parts = Parts(migrate=PARTS.migrate, services=services, provision=provision)
    broken = System(tmp_path, amqp_url=system.amqp_url, postgres_dsn=system.postgres_dsn, parts=parts)
    broken.surroundings.prepare()
    with pytest.raises(processes.NotReady, match=r"^history does not come up .*log/history\.log$"):
        broken.start()
    assert "no such schema" in broken.log("history")
    assert not broken.running


def test_sibling_with_replicas_uses_given_servers_and_outlives_no_stop(system: System, tmp_path: Path) -> None:
    sibling = System(
        tmp_path, amqp_url=system.amqp_url, postgres_dsn=system.postgres_dsn, replicas={"history": 2}, parts=PARTS
    )
    with stopped_at_the_end(sibling):
        sibling.start()
        assert [state.name for state in sibling.states() if state.word in ("RUNNING", "STARTING")] == [
            "edge",
            "history",
            "history-2",
            "ingest",
        ]
        assert get(sibling.base_url + "/readyz")[0] == 200
        pids = [state.pid for state in sibling.states()]
    assert not any(processes.alive(pid) for pid in pids)
    assert get(system.base_url + "/readyz")[0] == 200


NO_BROKER = "amqp://127.0.0.1:1/"
LAUNCH = """
import sys, time
from pathlib import Path
from tests.integration.local.test_system import PARTS, System
system = System(Path(sys.argv[1]), amqp_url=sys.argv[2] or None, parts=PARTS)
system.start()
system.postgres.execute('CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS number')
print(*(state.pid for state in system.states()), flush=True)
time.sleep(600)
"""


def test_what_is_killed_takes_everything_with_it_and_the_next_start_finds_the_data() -> None:
    with temporary_directory() as directory:
        killed: list[int] = []
        ports: dict[str, str] = {}

        def check(pids: list[int], count: int) -> None:
            """The next start has waited for the rest of the one before, so it has its ports."""
            assert len(pids) == count
            assert not any(processes.alive(pid) for pid in killed)
            found = {str(file): file.read_text() for file in directory.rglob("ports.json")}
            assert found == {**found, **ports}
            ports.update(found)
            killed[:] = pids

        # Once is enough with a broker of its own, which takes the longest to start and to end; the stand-ins need none.
        for also_the_supervisor, amqp_url, count in ((False, NO_BROKER, 4), (True, "", 6)):
            with subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(directory), amqp_url],
                cwd=CHECKOUT,
                stdout=subprocess.PIPE,
                text=True,
            ) as launcher:
                assert launcher.stdout is not None
                check([int(word) for word in launcher.stdout.readline().split()], count)
                supervisor = int((directory / "supervisord.pid").read_text())
                processes.send([launcher.pid, supervisor] if also_the_supervisor else [launcher.pid], signal.SIGKILL)
        with stopped_at_the_end(System(directory, amqp_url=NO_BROKER, parts=PARTS)) as again:
            again.start()
            check([state.pid for state in again.states()], 4)
            assert again._private(again.postgres).execute("SELECT number FROM kept") == "7\n"
        assert not any(processes.alive(pid) for pid in killed)
