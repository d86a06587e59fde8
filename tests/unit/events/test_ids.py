"""Identities: the same words make the same ids, for ever."""

import uuid
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.events.ids import call_uid, event_id, uuid5

CALL = UUID("8a5b7c9d-0e1f-5a2b-8c3d-4e5f60718293")


@given(st.uuids(), st.text(alphabet=st.characters(codec="utf-8")))
def test_ours_is_the_standard_uuid5(namespace: UUID, name: str) -> None:
    assert uuid5(namespace, name) == uuid.uuid5(namespace, name)


def test_identities_that_history_holds_never_change() -> None:
    assert str(call_uid(7, "a1b2c3@sip.example")) == "0470ed2a-3745-525b-a6ac-8c76e888dfb6"
    assert str(event_id(CALL, {"status": "callend", "callid": "a1"})) == "8c332970-2b93-5755-857d-0197c8416fcc"


def test_the_order_of_fields_does_not_matter_and_their_number_does() -> None:
    one = event_id(CALL, {"a": "1", "b": "2"})

    assert one == event_id(CALL, {"b": "2", "a": "1"})
    assert len({one, event_id(CALL, {"a": "1"}), event_id(CALL, {"a": "1", "b": "2"}, 1)}) == 3
