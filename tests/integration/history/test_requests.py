"""What became of a provider's request: kept, listed, shown, applied, deleted in time; and to whom."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import orjson
import pytest

from services.history.app import create
from services.history.consumer import Consumer
from services.history.requests.keeper import QUEUE, Keeper
from services.history.requests.store import EARLIEST, LATEST, OURS, SHOWN, SQL
from services.history.settings import Settings
from services.history.stored import read
from services.history.writer import Writer
from shared.bus import Delivery, Message
from shared.bus.dead import DeadLetters
from shared.events import (
    Authority,
    CallData,
    CallEnded,
    CallNoted,
    CallRinging,
    EndedData,
    Outcome,
    Raw,
    RejectedData,
    RequestRejected,
)
from shared.events.ids import call_uid
from shared.http import serving
from shared.secrets import hash_token
from tests.integration.history.support import histories, rows_read, seed, send, until
from tests.support.histories import NOON, Told

NOWHERE = "amqp://guest:guest@127.0.0.1:1/"
OPERATORS = "a token of the operators"
KEYS = {"key-one": (1, 1, "key"), "crm-one": (1, 1, "crm_token"), "key-three": (1, 3, "key"), "key-two": (2, 2, "key")}
BODY = b"status=voicemail&callid=a1"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def refused(id_: str, seconds: float = 0, *, account: int = 1, channel: int | None = 1, **data: Any) -> RequestRejected:
    """A request that ingest refused."""
    raw = Raw.pack(data.pop("body", BODY), content_type="application/x-www-form-urlencoded", query="a=1")
    values: dict[str, Any] = {
        "channel_id": channel,
        "provider": "supervoip",
        "method": "POST",
        "path": "/hooks/supervoip/3f2a91c0",
        "status": 422,
        "outcome": "refused",
        "reason": "callid is required",
        "headers": {"User-Agent": "pbx"},
        "fields": {"status": "voicemail"},
        "raw": raw,
    }
    return RequestRejected(
        id=uuid4(),
        source="/ingest/supervoip/1",
        subject=id_,
        time=at(seconds),
        receivedat=at(seconds),
        account=account,
        requestid=id_,
        data=RejectedData(**values | data),
    )


def unrecognised(id_: str, seconds: float = 0, **data: Any) -> RequestRejected:
    return refused(id_, seconds, status=200, outcome="unrecognised", reason="unknown status: 'voicemail'", **data)


def accepted(
    id_: str | None,
    seconds: float = 0,
    *,
    account: int = 1,
    channel: int = 1,
    provider: str = "supervoip",
    key: str = "",
    body: bytes = BODY,
    **envelope: Any,
) -> list[CallRinging | CallEnded]:
    """The ring and the end that came of one request."""
    uid = call_uid(channel, key or f"{id_}-{seconds}")
    common: dict[str, Any] = {
        "channel_id": channel,
        "provider": provider,
        "call_key": key or id_,
        "raw": Raw.pack(body, method="GET", query="b=2", content_type="text/plain"),
    }
    rest: dict[str, Any] = {
        "source": f"/ingest/{provider}/{channel}",
        "subject": uid,
        "receivedat": at(seconds),
        "account": account,
        "requestid": id_,
        **envelope,
    }
    ring = CallRinging(id=uuid4(), time=at(seconds), data=CallData(**common), **rest)
    end = CallEnded(id=uuid4(), time=at(seconds + 1), data=EndedData(**common, outcome=Outcome.BUSY), **rest)
    return [ring, end]


@dataclass
class Requests:
    """A running service, as whoever has a token or a key sees it."""

    session: aiohttp.ClientSession
    url: str
    writer: Writer
    keeper: Keeper

    async def keep(self, *events: RequestRejected) -> None:
        await self.keeper.handle([delivery(event) for event in events])

    async def store(self, events: Sequence[Told]) -> None:
        """As a batch of the queue."""
        deliveries = [
            Delivery(event.to_json(), str(event.id), event.routing_key, False, 0, {}, "", "", 1) for event in events
        ]
        await Consumer(self.writer, self.keeper.note_repeats).handle(deliveries)

    async def get(self, path: str, token: str | None = "ours") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(self, path: str, body: object, token: str | None = OPERATORS) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        async with self.session.post(self.url + path, headers=headers, data=data) as answer:
            return answer.status, await answer.json(content_type=None)

    async def items(self, query: str = "", token: str = "ours") -> list[dict[str, Any]]:
        status, answer = await self.get(f"/api/v1/requests{query}", token)
        assert status == 200, answer
        return list(answer["items"])

    async def ids(self, query: str = "", token: str = "ours") -> list[str]:
        return [item["id"] for item in await self.items(query, token)]

    async def operators(self, query: str = "") -> list[dict[str, Any]]:
        status, answer = await self.get(f"/api/v1/admin/requests{query}", OPERATORS)
        assert status == 200, answer
        return list(answer["items"])


def delivery(event: RequestRejected) -> Delivery:
    return Delivery(event.to_json(), str(event.id), event.routing_key, False, 0, {}, "ingest", "", 1)


@pytest.fixture
async def api(
    dsn: str, admin: asyncpg.Connection[Any], writer: Writer, pool: asyncpg.Pool[Any], tmp_path: Path
) -> AsyncIterator[Requests]:
    """The service on a free port; its broker is away, which hurts no reader."""
    await seed(admin)
    await add_keys(admin)
    (tmp_path / "operator.token").write_text(OPERATORS)
    settings = Settings(
        amqp_url=NOWHERE,
        postgres_dsn=dsn,
        listen_port=0,
        operator_token_file=tmp_path / "operator.token",
        recordings_url=(tmp_path / "recordings").as_uri(),
    )
    async with serving(create(settings), settings) as port, aiohttp.ClientSession() as session:
        api = Requests(session, f"http://127.0.0.1:{port}", writer, Keeper(pool, days=30, repeats_days=7))

        async def answers() -> bool:
            return (await api.get("/api/v1/requests"))[0] == 200

        await until(answers, "the directory is read")
        yield api


async def add_keys(connection: asyncpg.Connection[Any]) -> None:
    await connection.execute(
        "INSERT INTO directory.channels (channel_id, account_id, provider, name, enabled)"
        " VALUES (3, 1, 'voipnow', 'Three', false) ON CONFLICT DO NOTHING"
    )
    for key, (account, channel, kind) in KEYS.items():
        await connection.execute(
            "INSERT INTO directory.channel_keys (account_id, channel_id, kind, key_hash, key_sealed)"
            " VALUES ($1, $2, $3, $4, ''::bytea) ON CONFLICT DO NOTHING",
            account,
            channel,
            kind,
            hash_token(key),
        )


async def test_a_refused_request_is_shown_whole(api: Requests) -> None:
    await api.keep(refused("req-00001"))

    expected = {
        "id": "req-00001",
        "received_at": at(0).isoformat(),
        "channel_id": 1,
        "provider": "supervoip",
        "method": "POST",
        "path": "/hooks/supervoip/3f2a91c0",
        "query": "a=1",
        "content_type": "application/x-www-form-urlencoded",
        "status": 422,
        "outcome": "refused",
        "reason": "callid is required",
        "events": [],
        "call_uid": None,
        "encoding": "text",
        "body": BODY.decode(),
        "body_cut": False,
        "applied_at": None,
    }
    assert await api.items() == [expected]
    assert await api.get("/api/v1/requests/req-00001") == (200, expected)
    assert await api.get("/hooks/requests/req-00001", "key-one") == (200, expected)


async def test_an_accepted_request_is_shown_with_the_events_made_of_it(api: Requests) -> None:
    ring, end = events = accepted("req-00001")
    await api.store(events)

    expected = {
        "id": "req-00001",
        "received_at": at(0).isoformat(),
        "channel_id": 1,
        "provider": "supervoip",
        "method": "GET",
        "path": "/hooks/supervoip",
        "query": "b=2",
        "content_type": "text/plain",
        "status": 200,
        "outcome": "accepted",
        "reason": None,
        "events": [
            {"id": str(ring.id), "type": "call.ringing.v1", "call_uid": str(ring.uid)},
            {"id": str(end.id), "type": "call.ended.v1", "call_uid": str(ring.uid)},
        ],
        "call_uid": str(ring.uid),
        "encoding": "text",
        "body": BODY.decode(),
        "body_cut": False,
        "applied_at": None,
    }
    assert await api.items() == [expected]
    assert await api.get("/api/v1/requests/req-00001") == (200, expected)
    assert await api.get("/hooks/requests/req-00001?key=key-one", None) == (200, expected)


async def test_what_apis_without_a_key_in_the_path_accepted_has_their_path_and_status(api: Requests) -> None:
    await api.store(accepted("req-00001", 1, provider="partner"))
    await api.store(accepted("req-00002", 2, channel=5, provider="channel_key"))

    assert [(item["path"], item["status"]) for item in await api.items()] == [
        ("/api/v2/telephony/calls", 200),
        ("/voip/integration", 202),
    ]


async def test_only_what_a_provider_asked_for_is_a_request(api: Requests) -> None:
    ring, end = accepted("req-00001")
    await api.store([ring, end.model_copy(update={"source": "/history", "requestid": None})])
    await api.store(accepted("req-00002", 1, source="/history"))
    await api.store(accepted(None, 2))

    (item,) = await api.items()
    assert (item["id"], [event["id"] for event in item["events"]]) == ("req-00001", [str(ring.id)])


async def test_lists_are_newest_first_and_page_to_the_end_without_a_gap(api: Requests) -> None:
    for number in range(0, 12, 3):
        await api.keep(refused(f"req-{number:05}", number), unrecognised(f"req-{number + 1:05}", number + 1))
        await api.store(accepted(f"req-{number + 2:05}", number + 2, channel=1 + number % 2 * 4))
    # Of one moment and one id: two that were refused, and one that was accepted on another channel at that moment.
    await api.keep(refused("same-0001", 5.5), refused("same-0001", 5.5))
    await api.store(accepted("same-0002", 5.5))
    everything = await api.ids()

    assert everything == sorted(everything, key=lambda id_: (at_of(id_), id_), reverse=True)
    assert len(everything) == 15
    for limit in (1, 2, 4, 15, 500):
        assert await walked(api, limit) == everything


def at_of(id_: str) -> float:
    return 5.5 if id_.startswith("same") else float(id_[-5:])


async def walked(api: Requests, limit: int, more: str = "") -> list[str]:
    found, cursor = [], ""
    while True:
        status, answer = await api.get(f"/api/v1/requests?limit={limit}{more}{cursor}")
        assert status == 200, answer
        found += [item["id"] for item in answer["items"]]
        if answer["next"] is None:
            return found
        cursor = f"&cursor={answer['next']}"


async def test_filters_are_joined(api: Requests) -> None:
    await api.keep(
        refused("refused-1", 1),
        refused("refused-3", 2, channel=3, provider="voipnow"),
        unrecognised("unknown-1", 3),
    )
    await api.store(accepted("taken-001", 4))
    await api.store(accepted("taken-003", 5, channel=3, provider="voipnow"))

    assert await api.ids("?outcome=accepted") == ["taken-003", "taken-001"]
    assert await api.ids("?outcome=refused") == ["refused-3", "refused-1"]
    assert await api.ids("?outcome=unrecognised") == ["unknown-1"]
    assert await api.ids("?channel_id=3") == ["taken-003", "refused-3"]
    assert await api.ids("?provider=supervoip") == ["taken-001", "unknown-1", "refused-1"]
    assert await api.ids("?provider=voipnow&outcome=accepted") == ["taken-003"]
    assert await api.ids("?date_from=2026-03-02T12:00:03Z&date_to=2026-03-02T12:00:04Z") == ["taken-001", "unknown-1"]
    assert len(await api.ids("?date_from=2026-03-02&date_to=2026-03-02")) == 5
    assert await api.ids("?date_to=2026-03-01") == await api.ids("?date_from=2026-03-03") == []
    assert await api.ids("?channel_id=99") == await api.ids("?provider=nobody") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=x",
        "limit=0",
        "cursor=nonsense",
        "cursor=MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCBhIDAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMA",
        "channel_id=-1",
        "outcome=maybe",
        "date_from=yesterday",
        "date_to=0001-01-01T00:00:00%2B14:00",
        "provider=a%00b",
    ],
)
async def test_a_wrong_parameter_is_named(api: Requests, query: str) -> None:
    status, body = await api.get(f"/api/v1/requests?{query}")

    assert status == 422
    assert [error["field"] for error in body["errors"]] == [query.partition("=")[0]]


async def test_of_requests_with_one_id_all_are_kept_and_the_latest_is_shown(api: Requests) -> None:
    await api.keep(refused("trace-001", 1, reason="first"), refused("trace-001", 3, reason="third"))
    await api.store(accepted("trace-001", 2))

    assert await api.ids() == ["trace-001"] * 3
    assert (await api.get("/api/v1/requests/trace-001"))[1]["reason"] == "third"
    await api.store(accepted("trace-001", 4))
    assert (await api.get("/api/v1/requests/trace-001"))[1]["outcome"] == "accepted"
    assert (await api.get("/api/v1/requests/trace-001"))[1]["received_at"] == at(4).isoformat()


def again(events: Sequence[Told], id_: str, seconds: float) -> list[Told]:
    """The same events, told by a later request."""
    return [event.model_copy(update={"requestid": id_, "receivedat": at(seconds)}) for event in events]


async def test_a_retry_is_a_request_of_its_own_with_the_events_that_it_told_again(api: Requests) -> None:
    events = accepted("first-001", 1)
    in_one_batch, later = again(events, "retry-001", 2), again(events, "retry-002", 3)
    await api.store([*events, *in_one_batch])
    await api.store(later)
    for _ in range(2):  # what the broker delivers again is no retry
        await api.store([*events, *in_one_batch, *later])

    items = {item["id"]: item for item in await api.items()}
    assert list(items) == ["retry-002", "retry-001", "first-001"]
    assert items["first-001"]["reason"] is None
    for seconds, id_ in enumerate(("retry-001", "retry-002"), 2):
        expected = items["first-001"] | {
            "id": id_,
            "received_at": at(seconds).isoformat(),
            "reason": "it repeats what was known already",
        }
        assert items[id_] == expected
        assert await api.get(f"/api/v1/requests/{id_}") == (200, expected)
        assert await api.get(f"/hooks/requests/{id_}", "key-one") == (200, expected)
        assert (await api.get(f"/hooks/requests/{id_}", "key-three"))[0] == 404
        assert (await api.get(f"/api/v1/requests/{id_}", "theirs"))[0] == 404
        assert (await api.get(f"/api/v1/admin/requests/{id_}", OPERATORS))[1]["account_id"] == 1
    assert await walked(api, 1) == list(items)
    assert await api.ids("?outcome=accepted&provider=supervoip&channel_id=1") == list(items)
    assert await api.ids("?outcome=refused") == await api.ids("?channel_id=3") == await api.ids("?provider=x") == []
    assert await api.ids("?date_from=2026-03-02T12:00:03Z") == ["retry-002"]


async def test_of_a_request_with_one_new_event_and_one_that_was_known_there_is_one(api: Requests) -> None:
    ring, end = accepted("first-001", 1)
    await api.store([ring])
    await api.store(again([ring, end], "second-01", 2))

    assert await api.ids() == ["second-01", "first-001"]
    assert [event["id"] for event in (await api.items())[0]["events"]] == [str(end.id)]


async def test_repeats_are_deleted_sooner(api: Requests, admin: asyncpg.Connection[Any]) -> None:
    events = accepted("first-001", 1)
    await api.store(events)
    for number in range(300):
        await api.store(again(events, f"retry-{number:03}", 2 + number / 1000))
    await api.store(again(events, "retry-new", 60))

    await api.keeper.sweep(at(60) + timedelta(days=7))
    assert await api.ids() == ["retry-new", "first-001"]
    assert await admin.fetchval("SELECT count(*) FROM history.repeats") == 2


async def test_of_a_call_that_was_deleted_no_request_is_shown(api: Requests) -> None:
    ring, end = accepted("req-00001", key="k")
    data = CallData(channel_id=1, provider="supervoip", authority=Authority.PERSON, deleted=True)
    tombstone = CallNoted(
        id=uuid4(), source="/history", subject=ring.uid, time=at(9), receivedat=at(9), account=1, data=data
    )
    await api.store([ring, end])
    await api.store(again([ring], "retry-001", 1))
    event = unrecognised("applied-1", 2)
    await api.keep(event)
    told = [{"id": str(each.id), "type": each.type, "call_uid": str(each.uid)} for each in (ring, end)]
    await api.post("/api/v1/admin/requests/applied", {"event_id": str(event.id), "events": told})
    assert await api.ids() == ["applied-1", "retry-001", "req-00001"]
    await api.store([tombstone])

    assert await api.ids() == []
    for id_ in ("req-00001", "retry-001", "applied-1"):
        assert (await api.get(f"/api/v1/requests/{id_}"))[0] == 404


# --- the walls


async def test_another_account_sees_nothing_and_nobody_sees_what_is_of_no_account(api: Requests) -> None:
    await api.keep(refused("refused-1"), refused("nobodys-1", account=0, channel=None, status=404))
    await api.store(accepted("taken-001"))

    assert await api.ids(token="theirs") == []
    for id_ in ("refused-1", "taken-001", "nobodys-1", "unknown-0"):
        assert (await api.get(f"/api/v1/requests/{id_}", "theirs"))[0] == 404
    assert sorted(await api.ids()) == ["refused-1", "taken-001"]
    assert (await api.get("/api/v1/requests/nobodys-1"))[0] == 404


async def test_two_accounts_senders_may_use_one_id(api: Requests) -> None:
    await api.keep(refused("trace-001", 1), refused("trace-001", 2, account=2, channel=2, reason="theirs"))
    await api.store(accepted("trace-002", 1))
    await api.store(accepted("trace-002", 2, account=2, channel=2))

    assert (await api.get("/api/v1/requests/trace-001"))[1]["reason"] == "callid is required"
    assert (await api.get("/api/v1/requests/trace-001", "theirs"))[1]["reason"] == "theirs"
    assert (await api.get("/api/v1/requests/trace-002"))[1]["channel_id"] == 1
    assert (await api.get("/api/v1/requests/trace-002", "theirs"))[1]["channel_id"] == 2


async def test_a_token_must_be_good_and_may_read(api: Requests) -> None:
    for path in ("/api/v1/requests", "/api/v1/requests/req-00001"):
        assert (await api.get(path, None))[0] == 401
        assert (await api.get(path, "wrong"))[0] == 401
        assert (await api.get(path, "key-one"))[0] == 401
        assert (await api.get(path, "writer"))[0] == 403
    assert (await api.get("/api/v1/requests", "reader"))[0] == 200


async def test_a_provider_reads_requests_of_its_own_channel_alone(api: Requests) -> None:
    await api.keep(refused("refused-1"), refused("refused-3", channel=3), refused("nobodys-1", account=0, channel=None))
    await api.store(accepted("taken-001"))

    for key in ("key-one", "crm-one"):
        assert (await api.get("/hooks/requests/refused-1", key))[0] == 200
        assert (await api.get(f"/hooks/requests/taken-001?key={key}", None))[0] == 200
    # A channel that is switched off has answered 403: its provider wants to know why.
    assert (await api.get("/hooks/requests/refused-3", "key-three"))[0] == 200
    for key, ids in (
        ("key-one", ("refused-3", "nobodys-1", "unknown-0", "%00", "%ff", "x" * 500)),
        ("key-three", ("refused-1", "taken-001")),
        ("key-two", ("refused-1", "taken-001")),
    ):
        for id_ in ids:
            status, body = await api.get(f"/hooks/requests/{id_}", key)
            assert (status, body["accepted"], body["error"]) == (404, False, "no request with this id is known")


async def test_a_provider_without_a_good_key_is_told_so_in_the_hooks_words(api: Requests) -> None:
    await api.keep(refused("refused-1"))

    assert (await api.get("/hooks/requests/refused-1", None))[0] == 401
    for key in ("wrong", "ours", OPERATORS, "x" * 600, "\u00e9"):
        status, body = await api.get(f"/hooks/requests/refused-1?key={key}", None)
        assert (status, body["accepted"], body["error"]) == (404, False, "no channel has this key")


# --- bodies


@pytest.mark.parametrize("made", ["kept", "taken"])
async def test_of_a_body_the_first_sixteen_kilobytes_are_shown(api: Requests, made: str) -> None:
    noise = os.urandom(30_000)
    bodies = {
        "small-01": b"x" * 5_000,
        "text-001": "\u0105".encode() * 8_191 + b"x" + "\u0105".encode() * 9_000,
        "noise-01": noise,
        "bytes-01": b"\xff\x00",
        "bomb-001": b"x" * 900_000,
    }
    for seconds, (id_, body) in enumerate(bodies.items()):
        if made == "kept":
            await api.keep(refused(id_, seconds, body=body))
        else:
            await api.store(accepted(id_, seconds, body=body))
    shown = {item["id"]: (item["encoding"], item["body"], item["body_cut"]) for item in await api.items()}

    assert shown["small-01"] == ("text", "x" * 5_000, False)
    assert shown["text-001"] == ("text", "\u0105" * 8_191 + "x", True)  # half a letter is left out
    assert shown["bytes-01"] == ("base64", "/wA=", False)
    assert shown["bomb-001"] == ("text", "x" * 16_384, True)
    encoding, text, cut = shown["noise-01"]
    assert (encoding, cut) == ("base64", True)
    assert base64.b64decode(text) == noise[:16_384]


async def test_a_body_that_ingest_cut_is_said_to_be(api: Requests) -> None:
    await api.keep(refused("refused-1", body_cut=True))

    assert (await api.items())[0]["body_cut"] is True


async def test_words_that_no_service_of_ours_stores_are_no_error(api: Requests) -> None:
    broken = [Raw(encoding="zlib", body="no"), Raw(encoding="zlib", body="!"), Raw(encoding="base64", body="="), None]
    for number, raw in enumerate(broken):
        await api.keep(refused(f"refused-{number}", number, raw=raw))

    assert [item["body"] for item in await api.items()] == [""] * 4


# --- operators


async def test_operators_read_everybodys_and_nobodys(api: Requests) -> None:
    theirs = refused("theirs-01", 2, account=2, channel=2)
    await api.keep(
        refused("nobodys-1", 1, account=0, channel=None, status=404),
        theirs,
        unrecognised("unknown-1", 3, path_event="dial-in"),
    )
    await api.store(accepted("taken-001"))

    assert [item["id"] for item in await api.operators()] == ["unknown-1", "theirs-01", "nobodys-1"]
    assert [item["id"] for item in await api.operators("?account=0")] == ["nobodys-1"]
    assert [item["id"] for item in await api.operators("?account=2")] == ["theirs-01"]
    assert [item["id"] for item in await api.operators("?outcome=unrecognised")] == ["unknown-1"]
    assert [item["id"] for item in await api.operators("?id=theirs-01")] == ["theirs-01"]
    assert [item["id"] for item in await api.operators("?channel_id=2&provider=supervoip")] == ["theirs-01"]
    status, shown = await api.get("/api/v1/admin/requests/theirs-01", OPERATORS)
    assert status == 200
    assert (shown["account_id"], shown["event_id"], shown["headers"]) == (2, str(theirs.id), {"User-Agent": "pbx"})
    assert theirs.data.raw is not None
    assert shown["raw"] == theirs.data.raw.model_dump()
    assert (await api.get("/api/v1/admin/requests/unknown-1", OPERATORS))[1]["path_event"] == "dial-in"
    taken = (await api.get("/api/v1/admin/requests/taken-001", OPERATORS))[1]
    assert (taken["account_id"], taken["outcome"], taken["event_id"]) == (1, "accepted", None)
    assert (await api.get("/api/v1/admin/requests/no-such-1", OPERATORS))[0] == 404
    assert (await api.get("/api/v1/admin/requests?account=-1&limit=x", OPERATORS))[0] == 422


@pytest.mark.parametrize("token", [None, "ours", "key-one", "wrong"])
async def test_operators_paths_take_the_operators_token_alone(api: Requests, token: str | None) -> None:
    for path in ("/api/v1/admin/requests", "/api/v1/admin/requests/req-00001"):
        assert (await api.get(path, token))[0] == 401
    assert (await api.post("/api/v1/admin/requests/applied", {}, token))[0] == 401


async def test_without_an_operators_token_there_is_no_operators_api(dsn: str, tmp_path: Path) -> None:
    settings = Settings(amqp_url=NOWHERE, postgres_dsn=dsn, recordings_url=tmp_path.as_uri())
    async with (
        serving(create(settings), settings) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/api/v1/admin/requests") as answer,
    ):
        assert answer.status == 404


async def test_what_was_applied_is_an_accepted_request_once(api: Requests) -> None:
    event = unrecognised("unknown-1", 1)
    await api.keep(event, unrecognised("unknown-2", 2))
    ring, _ = events = accepted("unknown-1", 1)
    told = [{"id": str(each.id), "type": each.type, "call_uid": str(each.uid)} for each in events]

    # Before it is noted it is shown once, as it was.
    await api.store(events)
    assert [item["outcome"] for item in await api.items()] == ["unrecognised", "unrecognised"]

    for _ in range(2):
        assert await api.post("/api/v1/admin/requests/applied", {"event_id": str(event.id), "events": told}) == (
            200,
            {"event_id": str(event.id), "events": told},
        )
    (applied,) = await api.items("?outcome=accepted")
    assert (applied["id"], applied["events"], applied["call_uid"]) == ("unknown-1", told, str(ring.uid))
    assert applied["reason"] == "unknown status: 'voicemail'"
    assert applied["applied_at"] is not None
    assert await api.ids("?outcome=unrecognised") == ["unknown-2"]
    assert [item["id"] for item in await api.operators("?outcome=unrecognised")] == ["unknown-2"]
    assert len(await api.items()) == 2
    assert (await api.get("/api/v1/requests/unknown-1"))[1] == applied


async def test_what_was_applied_and_told_of_no_call_stays_listed(api: Requests) -> None:
    event = unrecognised("unknown-1")
    await api.keep(event)

    assert (await api.post("/api/v1/admin/requests/applied", {"event_id": str(event.id), "events": []}))[0] == 200
    (item,) = await api.items("?outcome=accepted")
    assert (item["events"], item["call_uid"]) == ([], None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"[]", 422),
        (b'{"event_id": "x", "events": []}', 422),
        ({"event_id": str(uuid4())}, 422),
        ({"event_id": str(uuid4()), "events": [{"id": 1}]}, 422),
        ({"event_id": str(uuid4()), "events": [{"id": str(uuid4()), "type": "a\0", "call_uid": str(uuid4())}]}, 422),
        ({"event_id": str(uuid4()), "events": []}, 404),
    ],
)
async def test_a_wrong_note_is_refused(api: Requests, body: object, status: int) -> None:
    assert (await api.post("/api/v1/admin/requests/applied", body))[0] == status


# --- keeping and deleting


async def test_the_queue_is_taken_repeats_do_no_harm_and_poison_is_set_aside(
    amqp_url: str, dsn: str, admin: asyncpg.Connection[Any]
) -> None:
    events = [refused(f"req-{number:05}", number, account=number % 2) for number in range(50)]
    messages = [Message("ingest", event.routing_key, event.to_json(), str(event.id)) for event in events]
    foreign = accepted("req-00001")[0].to_json()
    too_much = refused("req-99999", status=2**40).to_json()
    poison = [
        Message("ingest", "request.rejected.v1", body, f"poison-{number}")
        for number, body in enumerate((b"{", foreign, too_much))
    ]
    async with histories(2, amqp_url, dsn):
        await send(amqp_url, [*messages[:25], *poison, *messages, *messages[10:]])

        async def all_there() -> bool:
            count = await admin.fetchval("SELECT count(*) FROM history.requests")
            return bool(count == 50 and len(await DeadLetters(amqp_url, "history").list()) == 3)

        await until(all_there, "everything is stored or dead")
    letters = await DeadLetters(amqp_url, "history").list()
    assert {letter.message_id for letter in letters} == {"poison-0", "poison-1", "poison-2"}
    assert {letter.source_queue for letter in letters} == {QUEUE}
    rows = await admin.fetch("SELECT event_id, id, account_id, fields, raw FROM history.requests ORDER BY received_at")
    assert [(row["event_id"], row["id"], row["account_id"]) for row in rows] == [
        (event.id, event.subject, event.account) for event in events
    ]
    assert {row["fields"] for row in rows} == {'{"status": "voicemail"}'}
    assert {Raw.model_validate_json(row["raw"]).unpack() for row in rows} == {BODY}


async def test_what_is_older_than_the_retention_is_deleted_however_much_it_is(
    pool: asyncpg.Pool[Any], admin: asyncpg.Connection[Any]
) -> None:
    keepers = [Keeper(pool, days=30, repeats_days=7), Keeper(pool, days=30, repeats_days=7)]
    old = [refused(f"old-{number:05}", number / 1000) for number in range(1200)]
    young = [refused(f"new-{number:05}", 60 + number) for number in range(3)]
    await keepers[0].handle([delivery(event) for event in [*old, *young]])
    now = at(60) + timedelta(days=30)

    assert sum(await asyncio.gather(*(keeper.sweep(now) for keeper in keepers))) == 1200
    assert await admin.fetchval("SELECT array_agg(id ORDER BY id) FROM history.requests") == [e.subject for e in young]
    assert await keepers[0].sweep(now) == 0


@pytest.mark.parametrize("channel", [None, 3])
@pytest.mark.parametrize("planned", ["force_custom_plan", "force_generic_plan"])
async def test_no_question_reads_every_event(
    admin: asyncpg.Connection[Any], writer: Writer, planned: str, channel: int | None
) -> None:
    """A quiet channel beside a busy one, and an id that one sender gives to all of its requests."""
    await admin.execute(
        "INSERT INTO history.events (uid, id, account_id, type, time, received_at, request_id, body)"
        " SELECT gen_random_uuid(), gen_random_uuid(), 1, 'call.ringing.v1', now(), now() - n * interval '1 s',"
        """ 'always', '{"source":"/ingest/supervoip/1","data":{"provider":"supervoip"}}'"""
        " FROM generate_series(1, 20000) AS n"
    )
    quiet = accepted("quiet-001", channel=3, provider="voipnow")
    await writer.store([read(event.to_json()) for event in quiet])
    await admin.execute("VACUUM ANALYZE history.events")
    await admin.execute("ANALYZE history.requests")
    await admin.execute(f"SET plan_cache_mode = {planned}")
    page = (1, 10, LATEST, "", False, EARLIEST, LATEST, channel, None)

    assert await rows_read(admin, SQL.newest_accepted.format(shown=SHOWN), *page) < 200
    assert await rows_read(admin, SQL.newest_repeated, *page) < 10
    assert await rows_read(admin, SQL.latest_accepted.format(shown=SHOWN, whose=OURS), 1, "always", None) < 10
    await admin.execute("RESET plan_cache_mode")
