"""The channel-key API without HTTP and database: fields, rules, events, retries."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.ingest.adapter import Event, Request
from services.ingest.errors import Incomplete, TooMuch
from services.ingest.keyed_calls import Known, New, Told
from services.ingest.keyed_rules import Saying, has_unmapped, hash_of, tell, unknown_people
from services.ingest.providers.channel_key.asked import Create, Update, read
from services.ingest.providers.channel_key.fields import MAX_ITEMS, canonical
from services.ingest.providers.channel_key.mapping import (
    status_of,
    uid_of_number,
    uid_of_pbx_call,
    uid_of_request,
)
from shared.call import Call
from shared.directory import Account, Channel, Group, PbxUser, User
from shared.directory.snapshot import Rows, Snapshot
from shared.events import Authority, CallAnswered, CallEnded, CallNoted, CallRinging, Direction, Raw, Recording

NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
CHANNEL = Channel(id=7, account_id=1, provider="channel_key", name="Calls", department_id=4)
DIRECTORY = Snapshot.of(
    Rows(
        accounts=(Account(id=1, name="Salon"), Account(id=2, name="Another")),
        users=(
            User(id=1, account_id=1, name="Anna"),
            User(id=2, account_id=1, name="Piotr"),
            User(id=3, account_id=2, name="Other"),
        ),
        groups=(Group(id=5, account_id=1, name="Front", user_ids=(1, 2)), Group(id=6, account_id=2, name="Others")),
        channels=(CHANNEL,),
        pbx_users=(PbxUser(id=1, account_id=1, channel_id=7, pbx_user_id="101", user_id=1),),
    )
)
CREATE = {"action": "create_call", "direction": "incoming", "phone": "220000101"}
UPDATE = {"action": "update_call", "call_id": "1", "call_status": "busy"}


def asked(**more: Any) -> Create | Update:
    return read(canonical({**CREATE, **more}.items()).fields)


def faults(body: dict[str, Any]) -> list[str]:
    with pytest.raises(Incomplete) as refused:
        read(canonical(body.items()).fields)
    return [f"{wrong.field} {wrong.detail}" for wrong in refused.value.errors]


# --- fields


@pytest.mark.parametrize(
    "pairs",
    [
        [("user_ids", ["1", "2"])],
        [("user_ids", [1, 2, None, ""])],
        [("user_ids[]", "1"), ("user_ids[]", "2")],
        [("USER_IDS[0]", "1"), (" user_ids[1] ", "2")],
        [("user_ids", "1"), ("user_ids", " 2 ")],
        [("user_ids[]", ["1"]), ("user_ids", "2")],
        [("user_ids", '["1", 2]')],
        [("user_ids", " [1,2]"), ("group_ids", []), ("group_ids[]", ""), ("comment", None), ("audio_record", {})],
    ],
)
def test_a_list_is_the_same_fields_however_it_is_spelled(pairs: list[tuple[str, Any]]) -> None:
    assert canonical(pairs).fields == {"user_ids": '["1", "2"]'}


def test_the_one_form_of_fields_stays_as_it_is() -> None:
    body = {**CREATE, "user_ids": [1], "pbx_user_ids": ["[odd", "a,b", "ż"], "custom": {"b": 1, "a": [2]}}
    with pytest.raises(Incomplete):  # a list that is text is JSON
        canonical({**CREATE, "pbx_user_ids": "[odd"}.items())

    once = canonical(body.items())

    assert canonical(once.fields.items()) == once
    assert asked(pbx_user_ids=["[odd", "a,b", "ż"]) == asked(pbx_user_ids='["[odd", "a,b", "ż"]')


def test_credentials_are_no_fields() -> None:
    parsed = canonical([("api_key", "hunter2"), ("phone", "1"), ("custom", {"password": "x", "a": 1})])

    assert parsed.fields == {"phone": "1", "custom": '{"a": 1}'}
    assert parsed.credentials == ("hunter2",)


def test_there_is_an_end_to_lists() -> None:
    assert isinstance(asked(user_ids=list(range(MAX_ITEMS))), Create)
    with pytest.raises(TooMuch):
        asked(user_ids=list(range(MAX_ITEMS + 1)))


def test_a_number_may_have_a_zero_behind_its_point() -> None:
    assert asked(user_ids=[1.0, "2.000"]) == asked(user_ids=[1, 2])
    whole, pointed = (read(canonical({**UPDATE, "call_id": number}.items()).fields) for number in (4101, 4101.0))
    assert whole == pointed


STATUSES = "call_status is one of ringing, in-progress, canceled, missed, failed, answered, busy"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["action is required"]),
        ({"action": "delete_call"}, ["action is create_call or update_call"]),
        ({"action": ["create_call"]}, ["action is one value"]),
        ({"action": "create_call"}, ["direction is required", "phone is required"]),
        ({**CREATE, "direction": "internal"}, ["direction is incoming or outgoing"]),
        ({**CREATE, "phone": " "}, ["phone is required"]),
        ({**CREATE, "phone": "1" * 256}, ["phone is longer than 255 characters"]),
        ({**CREATE, "phone": {"number": 1}}, ["phone is one value"]),
        ({**CREATE, "call_status": "cancelled"}, [STATUSES]),
        ({**CREATE, "user_ids": [1], "group_ids": [2]}, ["group_ids can't be given together with user_ids"]),
        (
            {**CREATE, "user_ids": [1], "group_ids": [2], "pbx_user_ids": ["3"]},
            ["group_ids can't be given together with user_ids", "pbx_user_ids can't be given together with user_ids"],
        ),
        ({**CREATE, "user_ids": ["anna"]}, ["user_ids is a list of numbers"]),
        ({**CREATE, "user_ids": ["٣"]}, ["user_ids is a list of numbers"]),
        ({**CREATE, "user_ids": ["9" * 19]}, ["user_ids is a list of numbers"]),
        ({**CREATE, "user_ids": [[1]]}, ["user_ids is a list of numbers or text"]),
        ({**CREATE, "user_ids": {"id": 1}}, ["user_ids is a list of numbers or text"]),
        ({**CREATE, "user_ids": [True]}, ["user_ids is a list of numbers or text"]),
        ({**CREATE, "user_ids": "[1"}, ["user_ids is a list of numbers or text"]),
        ({**CREATE, "user_ids": "[" * 100_000}, ["user_ids is a list of numbers or text"]),
        ({**CREATE, "pbx_user_ids": ["1" * 256]}, ["pbx_user_ids is longer than 255 characters"]),
        ({**CREATE, "pbx_call_id": "1" * 256}, ["pbx_call_id is longer than 255 characters"]),
        (
            {**CREATE, "audio_record": "https://rec.example/1.mp3"},
            ["audio_record is a file: send it in multipart/form-data"],
        ),
        ({**CREATE, "audio_record": {"name": "x"}}, ["audio_record is a file: send it in multipart/form-data"]),
        ({"action": "update_call"}, ["call_id is required (or pbx_call_id)", "call_status is required"]),
        ({**UPDATE, "call_id": "", "pbx_call_id": " "}, ["call_id is required (or pbx_call_id)"]),
        ({**UPDATE, "pbx_call_id": "a"}, ["pbx_call_id can't be given together with call_id"]),
        ({**UPDATE, "call_id": "a"}, ["call_id is a number"]),
        ({**UPDATE, "call_id": -1}, ["call_id is a number"]),
        ({**UPDATE, "call_id": 1.5}, ["call_id is a number"]),
        ({**UPDATE, "call_id": True}, ["call_id is a number"]),
        ({**UPDATE, "call_status": "talking"}, [STATUSES]),
        ({**UPDATE, "user_id": 1, "pbx_user_id": 2}, ["pbx_user_id can't be given together with user_id"]),
        ({**UPDATE, "user_id": "anna"}, ["user_id is a number"]),
    ],
)
def test_every_fault_is_named(body: dict[str, Any], expected: list[str]) -> None:
    assert faults(body) == expected


def test_a_value_that_contradicts_itself_is_a_fault() -> None:
    with pytest.raises(Incomplete, match="phone is given twice, with different values"):
        canonical([("phone", "1"), ("phone", "2")])
    assert canonical([("phone", 1), ("phone", "1")]).fields == {"phone": "1"}


def test_ids_may_be_text_or_numbers_and_words_in_any_case() -> None:
    assert read(canonical({**UPDATE, "call_id": 725, "user_id": "3"}.items()).fields) == Update(
        725, None, "busy", 3, None, None
    )
    assert asked(direction="OUT", call_status=" In-Progress ", pbx_call_id=9, pbx_user_ids=[1, "b", 1]) == Create(
        Direction.OUTGOING, "220000101", "in-progress", "9", (), (), ("1", "b"), None
    )


# --- events


def saying(body: dict[str, Any], at: datetime = NOW, recording: Recording | None = None, **more: Any) -> Saying:
    fields = canonical(body.items()).fields
    request = Request(CHANNEL, fields, at, "request-1", Raw(body="raw"))
    return Saying(request, read(fields), DIRECTORY, recording, **more)


class Story:
    """One call, as one request after the other tells of it."""

    def __init__(self) -> None:
        self.known = Known(UUID(int=1), 41, 42, None)
        self.events: list[Event] = []
        self.hashes: list[bytes] = []

    def say(self, body: dict[str, Any], **more: Any) -> New | None:
        new = tell(saying(body, **more), Told(self.known, self.events, self.hashes))
        if new is not None:
            self.events.append(new.event)
            self.hashes.append(new.request_hash)
        return new

    def update(self, status: str, **more: Any) -> New | None:
        return self.say({"action": "update_call", "call_id": 41, "call_status": status, **more})

    @property
    def status(self) -> str:
        return status_of(Call.of(self.events))


def kinds(events: Iterable[Event]) -> list[type]:
    return [type(event) for event in events]


def test_a_call_from_ring_to_end() -> None:
    story = Story()
    statuses = []
    for body in (CREATE, {**UPDATE, "call_status": "in-progress"}, {**UPDATE, "call_status": "answered"}):
        story.say(body)
        statuses.append(story.status)

    assert statuses == ["ringing", "in-progress", "answered"]
    assert kinds(story.events) == [CallRinging, CallAnswered, CallEnded]
    for event in story.events:
        assert (event.data.call_number, event.data.ticket_number, event.data.department_id) == (41, 42, 4)
        assert event.data.decision == story.events[0].data.decision is not None


def test_each_final_status_is_answered_in_its_own_word() -> None:
    for status in ("canceled", "missed", "failed", "answered", "busy"):
        story = Story()
        story.say({**CREATE, "call_status": status})
        assert story.status == status


def test_a_final_status_corrects_another_and_nothing_brings_the_call_back() -> None:
    story = Story()
    for status in ("missed", "ringing", "answered", "in-progress"):
        story.update(status, comment=status)

    assert kinds(story.events) == [CallEnded, CallNoted, CallEnded, CallNoted]
    assert story.status == "answered"
    assert {event.data.authority for event in story.events} == {Authority.RECORD}
    assert Call.of(story.events).comments == ("missed", "ringing", "answered", "in-progress")


def test_the_last_assignee_counts_whatever_the_state() -> None:
    story = Story()
    assert story.say({**CREATE, "user_ids": [2], "call_status": "missed"}) is not None
    by_pbx = story.update("ringing", pbx_user_id="101")
    assert by_pbx is not None
    assert (Call.of(story.events).assignee, by_pbx.pbx_user_id) == (1, "101")
    story.update("busy", user_id=2)
    assert Call.of(story.events).assignee == 2
    story.update("busy", pbx_user_id="nobody")
    assert Call.of(story.events).assignee == 2


def test_an_equal_request_is_a_retry_of_the_latest_alone() -> None:
    story = Story()
    assert story.say(CREATE) is not None
    assert story.say(CREATE, at=NOW + timedelta(hours=1)) is None
    assert story.update("busy") is not None
    assert story.update("answered") is not None
    assert story.update("busy") is not None
    assert story.update("busy") is None
    assert story.say(CREATE) is not None

    assert len({event.id for event in story.events}) == len(story.events) == 5


def test_a_retry_that_reaches_an_empty_database_is_the_same_event() -> None:
    first, second = Story(), Story()
    first.say(CREATE)
    second.say(CREATE, at=NOW + timedelta(hours=1))

    assert first.events[0].id == second.events[0].id


def test_a_request_that_has_a_name_of_its_own_is_said_once() -> None:
    story = Story()
    assert story.say(CREATE, names_one_request=True) is not None
    assert story.update("answered") is not None

    assert story.say(CREATE, names_one_request=True) is None


def test_time_goes_on_whatever_the_clocks_say() -> None:
    story = Story()
    for minutes, status in ((0, "busy"), (-5, "answered"), (-10, "missed")):
        story.say({**UPDATE, "call_status": status}, at=NOW + timedelta(minutes=minutes))

    assert [event.time for event in story.events] == [NOW + timedelta(microseconds=step) for step in range(3)]
    assert story.events[2].receivedat == NOW - timedelta(minutes=10)
    assert story.status == "missed"


def test_a_file_counts_by_its_hash_and_stays_with_the_call() -> None:
    story = Story()
    story.say(CREATE)
    story.update("answered")
    recording = Recording(key="1/x/y", content_type="audio/mpeg", size_bytes=3)
    fields = {**canonical(UPDATE.items()).fields, "audio_record": "sha256:ab"}
    with_file = Saying(Request(CHANNEL, fields, NOW, "r", Raw()), read(fields), DIRECTORY, recording)

    new = tell(with_file, Told(story.known, story.events, story.hashes))

    assert new is not None
    assert new.event.data.recording == recording
    assert new.request_hash != hash_of(canonical(UPDATE.items()).fields)


def test_kinds_of_calls_never_share_a_uid() -> None:
    uids = {make(7, "5") for make in (uid_of_pbx_call, uid_of_request)} | {uid_of_number(7, 5)}

    assert len(uids | {uid_of_pbx_call(8, "5"), uid_of_pbx_call(7, "number:5")}) == 5


# --- people


def test_people_of_another_account_are_unknown_and_so_are_those_of_nobody() -> None:
    def unknown(**more: Any) -> list[str]:
        return [f"{w.field} {w.detail}" for w in unknown_people(CHANNEL, asked(**more), DIRECTORY)]

    assert unknown() == unknown(user_ids=[1, 2]) == unknown(group_ids=[5]) == unknown(pbx_user_ids=["x"]) == []
    assert unknown(user_ids=[1, 3, 9]) == ["user_ids names user 3, 9, which the account does not have"]
    assert unknown(group_ids=[6]) == ["group_ids names group 6, which the account does not have"]
    update = read(canonical({**UPDATE, "user_id": 3}.items()).fields)
    assert [w.field for w in unknown_people(CHANNEL, update, DIRECTORY)] == ["user_id"]
    assert has_unmapped(CHANNEL, asked(pbx_user_ids=["101", "x"]), DIRECTORY)
    assert not has_unmapped(CHANNEL, asked(pbx_user_ids=["101"]), DIRECTORY)
