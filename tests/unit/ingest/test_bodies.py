"""Requests in every dress, and anything at all: fields or a refusal with a name, never another error."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.adapter import Adapter
from services.ingest.bodies import MAX_BODY, MAX_FIELDS, MAX_NAME, MAX_VALUE, parse, public_query
from services.ingest.credentials import without_credentials, without_next_words
from services.ingest.errors import Refused, TooMuch, Unreadable
from services.ingest.intake import Arrival, Intake
from services.ingest.providers import HOOKS
from shared.directory import Channel
from shared.events import parse as parse_event
from tests.unit.ingest.test_providers import Silent

CALL = {"status": "callstart", "callid": "a1", "numbera": "+48220000101"}
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "x">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><l>&a9;</l>"
)


def multipart(fields: dict[str, str], boundary: str = "b") -> bytes:
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (orjson.dumps(CALL), "application/json"),
        (b"\xef\xbb\xbf \r\n" + orjson.dumps(CALL), ""),
        (urlencode(CALL).encode(), "application/json"),
        (b"status=callstart&callid=a1&numbera=%2B48220000101\r\n", "application/x-www-form-urlencoded"),
        (b"<c><STATUS>callstart</STATUS><callID> a1 </callID><numberA>+48220000101</numberA></c>", "text/plain"),
        (b'<x:c xmlns:x="urn:x" status="callstart"><x:callid>a1</x:callid><numbera>+48220000101</numbera></x:c>', ""),
        (
            '<?xml version="1.0" encoding="UTF-16"?><c status="callstart" callid="a1" numbera="+48220000101"/>'.encode(
                "utf-16"
            ),
            "",
        ),
        (multipart(CALL), "multipart/form-data; boundary=b"),
        (multipart(CALL), 'multipart/form-data; charset=utf-8; boundary="b"'),
        (multipart(CALL, "other"), "text/plain"),
    ],
)
def test_a_body_is_read_as_what_it_looks_like(body: bytes, content_type: str) -> None:
    assert parse(body, "", content_type).fields == CALL


def test_body_and_query_are_merged_and_the_body_wins() -> None:
    assert parse(b'{"STATUS":"callend"}', "status=callstart&CallId=a1&dry_run=1", "").fields == {
        "status": "callend",
        "callid": "a1",
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"id":1772442904.120,"n":12345678901234567890123}',
            {"id": "1772442904.120", "n": "12345678901234567890123"},
        ),
        (b'{"a":null,"b":true,"c":[1,{"d":"x"}],"e":""}', {"b": "true", "c": '["1", {"d": "x"}]', "e": ""}),
        (b'{"a":"\\ud800x\\u0000"}', {"a": "\ufffdx\ufffd"}),
        (b'{"a":NaN}', {"a": "NaN"}),
        (b"a=1&A=1&a=2", {"a": "1, 2"}),
        (b"a=%C5%82&b=%B3&c", {"a": "\u0142", "b": "\u0142", "c": ""}),
        (b"a=%B1&b=%B6&c=%B1%B6+x&%B1=1", {"a": "\u0105", "b": "\u015b", "c": "\u0105\u015b x", "\u0105": "1"}),
        (b'<?xml version="1.0" encoding="UTF-8"?><a><b>\xb3</b></a>', {"b": "\u0142"}),
        ("a=\u0142".encode("iso-8859-2"), {"a": "\u0142"}),
        (b"a=%00", {"a": "\ufffd"}),
        (b'<?xml version="1.0" encoding="windows-1250"?><a><b>\xb3</b></a>', {"b": "\u0142"}),
        (b"<a>x</a>", {"a": "x"}),
    ],
)
def test_values_stay_as_they_were_written(body: bytes, expected: dict[str, str]) -> None:
    assert parse(body, "", "").fields == expected


def test_credentials_are_no_fields() -> None:
    query = "status=x&Token=hunter2&api_token=hunter2&a=b%20c&dry_run=1&%74oken=hunter2"

    assert parse(b'{"Password":"hunter2"}', query, "").fields == {"status": "x", "a": "b c"}
    assert public_query(query) == "status=x&a=b%20c"


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&Token=hunter2&b=2",
        b'{"a": 1, "api_token" : "hunter2", "b": 2}',
        b"<c><Key>hunter2</Key><b>2</b></c>",
        b'<c key="hunter2" b="2"/>',
        b'--b\r\nContent-Disposition: form-data; name="secret"\r\n\r\nhunter2\r\n--b--',
        b"<c><token><![CDATA[hunter2]]></token></c>",
        b'--b\r\nContent-Disposition: form-data; name="token"\r\nContent-Type: text/plain\r\n\r\nhunter2\r\n--b--',
        b"tok%65n=hunter2",
        b'{"tok\\u0065n":"hunter2"}',
    ],
)
def test_credentials_in_a_body_are_replaced_by_the_beginning_of_their_hash(body: bytes) -> None:
    credentials = parse(body, "", "").credentials
    assert credentials == ("hunter2",)
    assert without_credentials(body, credentials) == body.replace(b"hunter2", b"f52fbd32")


@pytest.mark.parametrize(
    "body",
    [
        b'{"password":"hunter2, two"}',
        b'{"token":"a\\"hunter2"}',
        b'{"token":["hunter2"]}',
        b'{"a":{"token":"hunter2"}}',
        b'{"a":[{"Token":{"b":"hunter2"}}]}',
        b'{"a":{"b":"{\\"token\\": \\"hunter2\\"}"}}',
        b'{"accessToken":"hunter2","Authorization":"Bearer hunter2"}',
        b"client_secret=hunter2&auth_token=hunter2&passwd=hunter2",
        b"<c token='a hunter2'/>",
        b"<c><token>a hunter2</token></c>",
        b"--b\r\nContent-Disposition: form-data; name=token\r\n\r\na hunter2\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\na\r\nhunter2\r\n--b--',
        b"password=a+hunter2&b=1",
        '<c token="hunter2"/>'.encode("utf-16"),
    ],
)
def test_nothing_of_a_credential_stays_however_it_is_written(body: bytes) -> None:
    arrival = Arrival("POST", "status=callend&callid=a", "", body, datetime(2026, 3, 2, tzinfo=UTC), "request-1", None)

    data = Intake(Silent()).read(arrival, HOOKS[0], CHANNEL).events[0].data

    assert data.raw is not None
    assert b"hunter2" not in data.raw.unpack().replace(b"\0", b"")
    assert "hunter2" not in str(parse(body, "", "").fields)


JSON_IN_A_FIELD = '{"a": 1, "Auth": [{" token ": "hunter2"}, {"key": {"b": "hunter2"}}]}'


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (urlencode({"json": JSON_IN_A_FIELD}).encode(), "status=callend&callid=a"),
        (b"", urlencode({"status": "callend", "callid": "a", "json": JSON_IN_A_FIELD})),
        (multipart({"json": JSON_IN_A_FIELD}), "status=callend&callid=a"),
        (f"<c><json>{JSON_IN_A_FIELD}</json></c>".encode(), "status=callend&callid=a"),
        (orjson.dumps({"json": JSON_IN_A_FIELD}), "status=callend&callid=a"),
    ],
)
def test_nothing_of_a_credential_stays_in_a_field_that_is_json_itself(body: bytes, query: str) -> None:
    arrival = Arrival("POST", query, "", body, datetime(2026, 3, 2, tzinfo=UTC), "request-1", None)

    event = Intake(Silent()).read(arrival, HOOKS[0], CHANNEL).events[0]

    assert event.data.raw is not None
    assert b"hunter2" not in event.data.raw.unpack() + event.to_json()
    assert b"f52fbd32" in event.data.raw.unpack() + event.data.raw.query.encode()
    assert parse(body, query, "").fields["json"] == '{"Auth": [{}, {}], "a": "1"}'


def test_more_credentials_than_anybody_has_are_too_much() -> None:
    # Each is looked for in the whole body.
    many = orjson.dumps([{"token": f"hunter{number}"} for number in range(21)])

    with pytest.raises(TooMuch):
        parse(b"json=" + quote(many).encode(), "", "")


def test_a_body_of_white_space_is_none() -> None:
    assert parse(b" \r\n", "status=callstart&callid=a1", "").fields == {"status": "callstart", "callid": "a1"}


def test_requests_that_differ_in_a_letter_of_another_charset_are_two() -> None:
    assert parse(b"", "a=%B1", "").fields != parse(b"", "a=%B6", "").fields
    assert parse(b"", "a=\udcb1", "").fields == parse(b"", "a=%B1", "").fields


@pytest.mark.parametrize(
    "piece", [b"<token ", b'"token":[', b'"token" ', b'name="token";', b'name="token"\na\n', b" token ", b'\\"token\\"']
)
def test_a_hostile_body_is_searched_in_linear_time(piece: bytes) -> None:
    body = piece * (1_000_000 // len(piece))
    without_credentials(body)  # quadratic, it would meet the time-out of all tests
    without_next_words(body)


@pytest.mark.parametrize(
    ("body", "public"),
    [
        (b"token: hunter2", b"token: f52fbd32"),
        (b"{'api_token': 'hunter2', 'a': 1}", b"{'api_token': 'f52fbd32', 'a': 1}"),
        (b"Authorization: Bearer hunter2\nPassword = hunter2", b"Authorization: Bearer f52fbd32\nPassword = f52fbd32"),
        (b'{"token": "f52fbd32", "a', b'{"token": "f52fbd32", "a'),
        (b"the key is gone, my tokens too", b"the key is gone, my tokens too"),
    ],
)
def test_in_what_nobody_can_read_the_word_behind_a_credentials_name_is_taken_for_one(
    body: bytes, public: bytes
) -> None:
    assert without_next_words(body) == public


def test_what_only_looks_like_a_credential_stays() -> None:
    body = b'{"keys":"a","monkey":"b","text":"the key is gone"}'

    assert without_credentials(body) == body


def test_a_file_counts_by_its_hash() -> None:
    body = b'--b\r\nContent-Disposition: form-data; filename="a.mp3"; name="audio"\r\n\r\n\x00\xff\r\n--b--\r\n'

    fields = parse(body, "", "multipart/form-data; boundary=b").fields

    assert fields == {"audio": "sha256:06eb7d6a69ee19e5fbdf749018d3d2abfa04bcbd1365db312eb86dc7169389b8"}


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"{",
        b'{"a":}',
        b"[]",
        b'["a"]',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"<a>",
        b"<a><b></a>",
        b'<?xml version="1.0" encoding="klingon"?><a/>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        BOMB,
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
        b"--b form-data",
        b"\xff\xfe",
        b"\x00\x01\x02",
    ],
)
def test_what_can_not_be_read_is_refused_by_name(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(body, "", "")


@pytest.mark.parametrize(
    "body",
    [
        b"&".join(b"a%d=1" % n for n in range(MAX_FIELDS + 1)),
        b"&" * 1000 + b"a=1",
        orjson.dumps({str(n): n for n in range(MAX_FIELDS + 1)}),
        b"<a>" + b"<b/>" * (MAX_FIELDS + 1) + b"</a>",
        multipart({str(n): "" for n in range(MAX_FIELDS + 2)}),
        b"a" * (MAX_NAME + 1) + b"=1",
        b"a=" + b"1" * (MAX_VALUE + 1),
        b'{"a":[' + b"1," * MAX_VALUE + b"1]}",
        b" " * (MAX_BODY + 1),
        b"<a>" * 25_000 + b"</a>" * 25_000,
    ],
)
def test_more_than_any_telephone_system_sends_is_refused_by_name(body: bytes) -> None:
    with pytest.raises(TooMuch):
        parse(body, "", "")


@pytest.mark.parametrize("depth", [100, 480, 700, 985, 1100])
def test_deep_json_is_fields_or_a_refusal(depth: int) -> None:
    try:
        fields = parse(b'{"a":' + b"[" * depth + b"]" * depth + b"}", "", "").fields
    except Refused:
        return
    assert fields["a"].startswith("[")


@pytest.mark.parametrize(
    "charset", ["idna", "punycode", "undefined", "hex", "utf-7", "unicode_escape", "klingon", "utf-16"]
)
def test_no_charset_is_an_error(charset: str) -> None:
    assert parse(b"a=1&b=\xff", "", f"text/plain; charset={charset}").fields["a"] == "1"


def test_deep_xml_is_read_without_recursion() -> None:
    assert parse(b"<a>" * 10_000 + b"x" + b"</a>" * 10_000, "", "").fields == {"a": "x"}


anything = st.text(alphabet=st.characters(codec=None), max_size=40)
names = (
    st.sampled_from(["status", "direction", "numberA", "numberB", "sipnumber", "disposition", "billseconds"])
    | st.sampled_from(["createdat", "callid", "uniqueid", "IVRaction", "token"])
    | st.sampled_from(["event", "caller", "called", "did", "extension", "queue", "billsec", "timestamp", "calldate"])
    | st.sampled_from(["CalledExtension", "CallerExtension", "CallerIDNum", "CallFlow", "CallStatus", "EventTime"])
    | anything
)
values = (
    st.sampled_from(
        ["callstart", "callend", "queuestart", "in", "out", "ANSWER", "NO ANSWER", "\\u0000", "\0", "1e999"]
    )
    | st.sampled_from(["queue_start", "queue_hangup", "call_start", "101"])
    | st.integers().map(str)
    | st.datetimes().map(str)
    | anything
)
ENOUGH = {"status": "callend", "event": "call_end", "callid": "a"}
flat = st.dictionaries(names, values, max_size=12).map(lambda sent: {**ENOUGH, **sent})


def as_json(sent: dict[str, str]) -> bytes:
    import json

    return json.dumps(sent).encode()


def as_form(sent: dict[str, str]) -> bytes:
    return "&".join(
        f"{quote(name, errors='replace')}={quote(value, errors='replace')}" for name, value in sent.items()
    ).encode()


def as_xml(sent: dict[str, str]) -> bytes:
    from xml.sax.saxutils import quoteattr

    return ("<c " + " ".join(f"{n}={quoteattr(v)}" for n, v in sent.items()) + "/>").encode("utf-8", "replace")


def as_multipart(sent: dict[str, str]) -> bytes:
    return multipart(
        {n.encode("utf-8", "replace").decode(): v.encode("utf-8", "replace").decode() for n, v in sent.items()}
    )


DRESSES: list[Callable[[dict[str, str]], bytes]] = [as_json, as_form, as_xml, as_multipart]
CHANNEL = Channel(id=7, account_id=1, provider="supervoip", name="x", time_zone="Nowhere/Else", country="ZZ")


def events_or_refusal(adapter: Adapter, body: bytes, query: str, content_type: str) -> None:
    arrival = Arrival("POST", query, content_type, body, datetime(2026, 3, 2, tzinfo=UTC), "request-1", "x")
    for named in adapter.path_events or ("",):
        try:
            events = Intake(Silent()).read(arrival, adapter, CHANNEL, named).events
        except Refused:
            continue
        for event in events:
            assert parse_event(event.to_json()) == event


@pytest.mark.parametrize("adapter", HOOKS, ids=lambda adapter: adapter.name)
@given(sent=flat, dress=st.sampled_from(DRESSES))
def test_any_fields_become_events_that_can_be_read_or_a_refusal(
    adapter: Adapter, sent: dict[str, str], dress: Callable[[dict[str, str]], bytes]
) -> None:
    events_or_refusal(adapter, dress(sent), "", "")


@pytest.mark.parametrize("adapter", HOOKS, ids=lambda adapter: adapter.name)
@given(
    prefix=st.sampled_from(
        [b"", b"{", b"[", b"<a ", b"<?xml", b"--b\r\n", b"a=", b"\xff\xfe", b"--b form-data; name=x"]
    ),
    rest=st.binary(max_size=200),
    query=st.text(alphabet=st.characters(codec="ascii"), max_size=60),
    content_type=st.sampled_from(["", "text/xml; charset=klingon", "multipart/form-data; boundary=b"]) | anything,
)
def test_any_bytes_become_events_or_a_refusal(
    adapter: Adapter, prefix: bytes, rest: bytes, query: str, content_type: str
) -> None:
    events_or_refusal(
        adapter, prefix + rest, "status=callstart&callid=a&" + query, content_type.encode("utf-8", "replace").decode()
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | anything,
        lambda v: st.lists(v) | st.dictionaries(anything, v),
    )
)
def test_any_json_is_fields_or_a_refusal(value: Any) -> None:
    import json

    try:
        fields = parse(json.dumps({"a": value}).encode(), "", "").fields
    except Refused:
        return
    assert all(type(text) is str for text in fields.values())
    orjson.dumps(dict(fields))
