"""What history answers, over HTTP, to whom."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.history.reading import reading_pool
from shared.call import Call
from shared.events import Authority, Outcome
from tests.integration.history.support import Api
from tests.support.histories import NOON, Story, Told, history, traffic

NOBODYS = UUID("00000000-0000-4000-8000-000000000000")


def written(key: str, start: int = 0, **note: Any) -> list[Told]:
    """An answered incoming call of account 1, `start` seconds after noon."""
    story = Story(key, start=NOON + timedelta(seconds=start))
    story.ring()
    story.end(Outcome.ANSWERED)
    story.note(external_id=key, authority=Authority.PERSON, **note)
    return story.events


@pytest.mark.parametrize("suffix", ["", ".json"])
async def test_a_call_is_answered_as_the_crm_writes_it(api: Api, suffix: str) -> None:
    events = written("k1", client_id=7, contact_id=8, assignee=3, comment="asked for a chair")
    call = Call.of(events)
    await api.store(events)
    status, items, headers = await api.get(f"/voip/calls{suffix}")
    assert (status, len(items), headers["X-Total-Count"]) == (200, 1, "1")
    item = items[0]
    assert call.from_
    assert call.to
    assert call.talk_seconds
    assert call.direction
    assert item == {
        "id": item["id"],
        "voip_id": 1,
        "number_from": call.from_.e164,
        "number_to": call.to.e164,
        "start_time": call.started_at.isoformat(),
        "duration": round(call.talk_seconds),
        "kind": call.direction.value,
        "status": "ANSWERED",
        "client_id": 7,
        "contact_id": 8,
        "description": "asked for a chair",
        "uid": str(call.uid),
        "external_id": "k1",
        "user_id": 3,
        "recording_url": None,
        "created_at": item["created_at"],
        "updated_at": item["updated_at"],
    }
    assert (await api.get(f"/voip/calls/{item['id']}{suffix}"))[:2] == (200, item)


async def test_the_token_may_be_in_the_query_under_voip_alone(api: Api) -> None:
    await api.store(written("k1"))
    assert (await api.get("/voip/calls.json?api_token=ours", token=None))[0] == 200
    assert (await api.get("/api/v1/calls?api_token=ours", token=None))[0] == 401


@pytest.mark.parametrize("path", ["/voip/calls", "/voip/calls.json", "/voip/calls/1.json"])
async def test_without_a_valid_token_there_is_a_401_in_the_crms_envelope(api: Api, path: str) -> None:
    for token in (None, "wrong"):
        status, body, _ = await api.get(path, token=token)
        assert status == 401
        assert list(body) == ["error"]


@pytest.mark.parametrize("path", ["/api/v1/calls", f"/api/v1/calls/{NOBODYS}"])
async def test_without_a_valid_token_there_is_a_401_problem_under_api_v1(api: Api, path: str) -> None:
    status, body, headers = await api.get(path, token="wrong")
    assert (status, body["status"], headers["Content-Type"]) == (401, 401, "application/problem+json")


@pytest.mark.parametrize("path", ["/voip/calls", "/voip/calls/1.json", "/api/v1/calls", f"/api/v1/calls/{NOBODYS}"])
async def test_a_token_whose_scopes_lack_reading_is_403_in_the_paths_envelope(api: Api, path: str) -> None:
    status, body, _ = await api.get(path, token="writer")
    assert status == 403
    assert (
        body["error" if path.startswith("/voip/") else "detail"] == "the API token's scopes do not include calls:read"
    )
    assert (await api.get(path, token="reader"))[0] == (await api.get(path))[0]


async def test_another_accounts_call_looks_exactly_like_an_unknown_one(api: Api) -> None:
    events = written("k1")
    await api.store(events)
    _, items, _ = await api.get("/voip/calls.json")
    mine = [f"/voip/calls/{items[0]['id']}.json", f"/api/v1/calls/{events[0].subject}"]
    unknown = ["/voip/calls/999999.json", f"/api/v1/calls/{NOBODYS}"]
    for path, other in zip(mine, unknown, strict=True):
        assert (await api.get(path))[0] == 200
        theirs, none = await api.get(path, token="theirs"), await api.get(other, token="theirs")
        for body in (theirs[1], none[1]):
            body.pop("request_id", None)
        assert theirs[:2] == none[:2]
        assert theirs[0] == 404
    assert (await api.get("/voip/calls.json", token="theirs"))[1] == []
    assert (await api.get("/api/v1/calls", token="theirs"))[1] == {"items": [], "next": None}


@pytest.mark.parametrize("path", ["/voip/calls/9223372036854775808.json", "/voip/calls/x.json", "/api/v1/calls/x"])
async def test_an_id_that_can_be_no_calls_is_unknown(api: Api, path: str) -> None:
    assert (await api.get(path))[0] == 404


@pytest.mark.parametrize("path", ["/voip/calls/5.json", "/api/v1/calls"])
async def test_another_method_is_a_405_that_names_those_there_are(api: Api, path: str) -> None:
    status, _, headers = await api.get(path, method="PUT")
    assert status == 405
    assert "GET" in headers["Allow"]


async def test_a_deleted_call_is_hidden_everywhere_whatever_comes_later(api: Api) -> None:
    events = written("k1")
    await api.store(events)
    id_ = (await api.get("/voip/calls.json"))[1][0]["id"]
    story = Story("k1", start=NOON + timedelta(hours=1))
    story.note(deleted=True, authority=Authority.PERSON)
    story.end(Outcome.MISSED)
    await api.store(story.events[:1], story.events[1:])
    assert (await api.get("/voip/calls.json"))[1] == []
    assert (await api.get("/api/v1/calls"))[1]["items"] == []
    for path in (f"/voip/calls/{id_}.json", f"/api/v1/calls/{events[0].subject}"):
        assert (await api.get(path))[0] == 404


async def test_lists_are_newest_first_by_page_with_links_to_the_others(api: Api) -> None:
    await api.store(*(written(f"k{n}", start=100 * n) for n in range(5)))
    assert await api.ids("/voip/calls.json?per_page=2") == ["k4", "k3"]
    assert await api.ids("/voip/calls.json?per_page=2&page=3") == ["k0"]
    assert await api.ids("/voip/calls.json?per_page=2&page=4") == []
    assert len(await api.ids("/voip/calls.json?per_page=1000")) == 5
    _, _, headers = await api.get("/voip/calls.json?per_page=2&page=2&kind=")
    assert headers["X-Total-Count"] == "5"
    links = dict(reversed(part.split("; ")) for part in headers["Link"].split(", "))
    base = "<https://calls.example.org/voip/calls.json?per_page=2&page={}&kind=>"
    assert links == {
        f'rel="{rel}"': base.format(page) for rel, page in {"first": 1, "prev": 1, "next": 3, "last": 3}.items()
    }


async def test_a_duration_is_told_or_talked_and_never_made_of_when_notifications_came(api: Api) -> None:
    def story(key: str, *ends: Outcome) -> Story:
        story = Story(key)
        story.ring()
        for outcome in ends:
            story.end(outcome)
        story.note(external_id=key)
        return story

    told, talked = story("told", Outcome.ANSWERED), story("talked", Outcome.ANSWERED)
    told.note(duration_seconds=1000.4)
    answered = story("untold", Outcome.ANSWERED).events
    untold = [
        event.model_copy(update={"data": event.data.model_copy(update={"talk_seconds": None})}) for event in answered
    ]
    await api.store(
        told.events,
        talked.events,
        *(story(word.value, word).events for word in Outcome if word is not Outcome.ANSWERED),
        story("ringing").events,
        untold,
    )
    _, items, _ = await api.get("/voip/calls.json?order_by=-duration")
    durations = {item["external_id"]: item["duration"] for item in items}
    assert durations == {
        "told": 1000,
        "talked": round(Call.of(talked.events).talk_seconds or 0),
        **dict.fromkeys(("busy", "missed", "canceled", "failed"), 0),
        **dict.fromkeys(("unknown", "ringing", "untold")),
    }
    assert list(durations)[:2] == ["told", "talked"]
    assert set(list(durations)[-3:]) == {"unknown", "ringing", "untold"}


async def test_calls_are_ordered_by_any_field_both_ways(api: Api) -> None:
    await api.store(*(written(f"k{n}", start=100 * n, client_id=10 - n) for n in range(3)))
    assert await api.ids("/voip/calls.json?order_by=start_time") == ["k0", "k1", "k2"]
    assert await api.ids("/voip/calls.json?order_by=client_id") == ["k2", "k1", "k0"]
    assert await api.ids("/voip/calls.json?order_by=-client_id") == ["k0", "k1", "k2"]
    _, items, _ = await api.get("/voip/calls.json")
    for field in items[0]:
        if field not in ("description", "uid", "recording_url"):
            assert sorted(await api.ids(f"/voip/calls.json?order_by=-{field}")) == ["k0", "k1", "k2"]


async def test_every_filter_finds_its_calls_and_only_those(api: Api) -> None:
    one = written("k1", client_id=5, contact_id=6, assignee=2, comment="100% of the Chairs_ are \\ gone")
    two = written("k2", start=86400)
    story = Story("k3", start=NOON + timedelta(days=2))
    story.ring()
    story.note(external_id="k3")
    await api.store(one, two, story.events)
    call, other = Call.of(one), Call.of(two)
    assert call.from_
    assert call.from_.e164
    assert call.direction
    national = call.from_.e164.removeprefix("+48")
    for query, keys in {
        "q=chairs": ["k1"],
        "q=100%25": ["k1"],
        "q=_": ["k1"],
        "q=%5C": ["k1"],
        f"q={national[-5:]}": ["k1"],
        f"number=%2B48{national}": ["k1"],
        f"number=+48{national}": ["k1"],
        f"number={national}": ["k1"],
        f"number={national[:2]}%20{national[2:]}": ["k1"],
        "date_from=2026-03-03": ["k3", "k2"],
        "date_to=2026-03-02": ["k1"],
        "date_from=2026-03-03&date_to=2026-03-03": ["k2"],
        f"date_from={other.started_at.isoformat().replace('+', '%2B')}": ["k3", "k2"],
        f"date_to={other.started_at.isoformat().replace('+00:00', 'Z')}": ["k2", "k1"],
        "status=RINGING": ["k3"],
        "status=answered": ["k2", "k1"],
        "status=NO%20ANSWER": [],
        "voip_id=1": ["k3", "k2", "k1"],
        "voip_id=2": [],
        "client_id=5": ["k1"],
        "contact_id=6": ["k1"],
        "user_id=2": ["k1"],
        "external_id=k2": ["k2"],
        "client_id=5&status=BUSY": [],
    }.items():
        assert await api.ids(f"/voip/calls.json?{query}") == keys, query
    found = await api.ids(f"/voip/calls.json?kind={call.direction.value}")
    assert "k1" in found
    assert len(found) == sum(Call.of(c).direction is call.direction for c in (one, two, story.events))


async def test_a_day_is_the_accounts_own(api: Api) -> None:
    late = written("k1", start=11 * 3600 + 1800)  # 23:30 UTC on the 2nd is 00:30 on the 3rd in Warsaw
    await api.store(late)
    assert await api.ids("/voip/calls.json?date_from=2026-03-03") == ["k1"]
    assert await api.ids("/voip/calls.json?date_to=2026-03-02") == []


async def test_every_wrong_parameter_is_named(api: Api) -> None:
    wrong = "page=0&per_page=x&order_by=secret&date_from=yesterday&kind=sideways&status=GONE&voip_id=-1&q=%00"
    status, body, _ = await api.get(f"/voip/calls.json?{wrong}")
    assert status == 422
    assert sorted(body["errors"]) == sorted(pair.split("=")[0] for pair in wrong.split("&"))
    status, body, _ = await api.get("/api/v1/calls?limit=0&cursor=what&state=x&outcome=y&direction=z&channel_id=q")
    assert status == 422
    assert sorted(error["field"] for error in body["errors"]) == [
        "channel_id",
        "cursor",
        "direction",
        "limit",
        "outcome",
        "state",
    ]


async def test_one_call_comes_with_every_event_and_the_providers_own_words(api: Api) -> None:
    events = history(3)
    await api.store(events)
    call = Call.of(events)
    status, body, _ = await api.get(f"/api/v1/calls/{call.uid}")
    assert status == 200
    assert (body["uid"], body["state"], body["outcome"]) == (str(call.uid), call.state, call.outcome)
    assert [leg["leg"] for leg in body["legs"]] == [leg.leg for leg in call.legs]
    assert body["audience"] == list(call.audience)
    ordered = sorted(events, key=lambda e: (e.time, e.id.int))
    assert [UUID(entry["id"]) for entry in body["timeline"]] == [e.id for e in ordered]
    for entry, event in zip(body["timeline"], ordered, strict=True):
        assert (entry["type"], entry["leg"]) == (event.type, event.data.leg)
        raw = getattr(event.data, "raw", None)
        if raw is None:
            assert entry["raw"] is None
        else:
            assert entry["raw"]["body"] == raw.unpack().decode()
        assert "raw" not in entry["data"]


@pytest.mark.parametrize(
    "place",
    [
        " ",
        "2026-03-02T09:15:04+00:00",
        "2026-03-02T09:15:04+00:00 1 1",
        "2026-03-02T09:15:04 1",
        "yesterday 1",
        "2026-03-02T09:15:04+00:00 0",
        "2026-03-02T09:15:04+00:00 9223372036854775808",
        "0001-01-01T00:00:00+14:00 1",
        "9999-12-31T23:59:59-12:00 1",
    ],
)
async def test_a_cursor_that_we_never_gave_is_named(api: Api, place: str) -> None:
    cursor = base64.urlsafe_b64encode(place.encode()).decode()
    status, body, _ = await api.get(f"/api/v1/calls?cursor={cursor}")
    assert (status, body.get("errors")) == (422, [{"field": "cursor", "detail": "is not one that we gave"}])


async def test_the_list_of_api_v1_goes_on_from_its_cursor(api: Api) -> None:
    await api.store(*traffic(23))
    seen = [item["started_at"] for item in await api.every("/api/v1/calls", limit=5)]
    assert len(seen) == len(set(seen)) == 23 - sum(Call.of(call).deleted for call in traffic(23))
    assert seen == sorted(seen, reverse=True)


async def test_every_question_is_planned_for_what_it_asks_and_never_for_all_filters_at_once(dsn: str) -> None:
    # One plan for all reads every call that is newer than the page. When the server comes to prefer it depends on what
    # was asked before on the same connection, so that it was told is all that can be tested.
    async with reading_pool(dsn, at_most_seconds=60) as pool:
        for _ in range(2):  # also where a connection comes back
            assert await pool.fetchval("SHOW plan_cache_mode") == "force_custom_plan"


async def test_readiness_names_what_is_wrong_and_what_is_well(api: Api) -> None:
    status, body, _ = await api.get("/readyz")
    assert status == 503
    assert {name: check["ok"] for name, check in body["checks"].items()} == {
        "rabbitmq": False,
        "postgres": True,
        "directory": True,
        "progress": True,
    }
