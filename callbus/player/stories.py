"""What happens on telephones, in the words of every provider. Each function makes one story up."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, Final

from callbus.player.story import BEGAN, Cast, File, Step, Story

NUMBER: Final = "221234567"
SPA: Final = "220000900"

# --- SuperVoIP


def _supervoip(cast: Cast, at: float, says: str, status: str, key: str, caller: str, **more: Any) -> Step:
    form = {
        "status": status,
        "direction": "in",
        "numberA": caller,
        "numberB": NUMBER,
        "callid": f"{key}@sip.example",
        **more,
    }
    return Step(at, says, cast.url("supervoip"), form=form)


def supervoip_answered(cast: Cast) -> Story:
    """A phone rings and is answered; that it was is known when the call ends."""
    key, caller, (phone,) = cast.key(), cast.caller(), cast.phones(1)
    ring, talk = cast.seconds(2, 8), cast.seconds(5, 40)
    end = {"sipnumber": phone, "disposition": "ANSWER", "billseconds": round(talk)}
    return Story(
        "supervoip",
        f"{phone} is called and answers",
        f"{key}@sip.example",
        (
            _supervoip(cast, 0, f"{phone} rings", "callstart", key, caller, sipnumber=phone),
            _supervoip(cast, ring + talk, f"{phone} hangs up", "callend", key, caller, **end),
        ),
        "answered",
        phone,
    )


def supervoip_hunting(cast: Cast) -> Story:
    """A queue tries one phone after the other; the second answers. The panel repeats every message."""
    key, caller, (first, second) = cast.key(), cast.caller(), cast.phones(2)
    missed = {"sipnumber": first, "disposition": "NO ANSWER", "billseconds": 0}
    talked = {"sipnumber": second, "disposition": "ANSWER", "billseconds": 21}
    steps = (
        _supervoip(cast, 0, "the queue takes the call", "queuestart", key, caller),
        _supervoip(cast, 1, f"{first} rings", "callstart", key, caller, sipnumber=first),
        _supervoip(cast, 7, f"{first} does not answer", "callend", key, caller, **missed),
        _supervoip(cast, 8, f"{second} rings", "callstart", key, caller, sipnumber=second),
        _supervoip(cast, 33, f"{second} hangs up", "callend", key, caller, **talked),
    )
    return Story("supervoip", "a queue hunts for a phone", f"{key}@sip.example", steps, "answered", second)


def supervoip_end_first(cast: Cast) -> Story:
    """The caller gives up within a second, and the end overtakes the start."""
    key, caller, (phone,) = cast.key(), cast.caller(), cast.phones(1)
    end = {"sipnumber": phone, "disposition": "CANCEL", "billseconds": 0}
    return Story(
        "supervoip",
        "the end overtakes the start",
        f"{key}@sip.example",
        (
            _supervoip(cast, 0, f"{phone}: over before it was told to ring", "callend", key, caller, **end),
            _supervoip(cast, 0.3, f"{phone} rings, too late", "callstart", key, caller, sipnumber=phone),
        ),
        "canceled",
    )


# --- Telecube


def _telecube(cast: Cast, at: float, says: str, event: str, key: str, caller: str, times: int = 1, **more: Any) -> Step:
    body = {"event": event, "uniqueid": key, "caller": caller, "called": SPA, **more}
    return Step(at, says, cast.url("telecube"), json=body, times=times)


def telecube_queue(cast: Cast) -> Story:
    """A queue rings three phones at once; one answers, the others are canceled."""
    key, caller, phones = cast.key(), cast.caller(), cast.phones(3)
    winner = phones[1]
    steps = [_telecube(cast, 0, "the queue Reception takes the call", "queue_start", key, caller, queue="Reception")]
    steps += [_telecube(cast, 0.5, f"{phone} rings", "call_start", key, caller, extension=phone) for phone in phones]
    for phone in phones:
        if phone != winner:
            lost: dict[str, Any] = {"extension": phone, "status": "NO ANSWER", "duration": 0}
            steps.append(_telecube(cast, 6, f"{phone} stops ringing", "call_end", key, caller, **lost))
    won: dict[str, Any] = {"extension": winner, "status": "ANSWERED", "duration": 33}
    steps.append(_telecube(cast, 39, f"{winner} hangs up", "call_end", key, caller, times=2, **won))
    steps.append(_telecube(cast, 39.5, "the queue is done", "queue_hangup", key, caller, queue="Reception"))
    return Story("telecube", "a queue rings three phones", key, tuple(steps), "answered", winner)


def telecube_missed(cast: Cast) -> Story:
    """A queue in which nobody answers."""
    key, caller, phones = cast.key(), cast.caller(), cast.phones(2)
    steps = [_telecube(cast, 0, "the queue Spa takes the call", "queue_start", key, caller, queue="Spa")]
    steps += [_telecube(cast, 0.5, f"{phone} rings", "call_start", key, caller, extension=phone) for phone in phones]
    for phone in phones:
        lost: dict[str, Any] = {"extension": phone, "status": "NO ANSWER", "duration": 0}
        steps.append(_telecube(cast, 15, f"{phone} stops ringing", "call_end", key, caller, **lost))
    steps.append(_telecube(cast, 15.4, "the caller has hung up", "queue_hangup", key, caller, queue="Spa"))
    return Story("telecube", "a queue in which nobody answers", key, tuple(steps), "missed")


# --- VoipNow


def _voipnow(cast: Cast, at: float, says: str, event: str, key: str, caller: str, phone: str, status: str) -> Step:
    extension = f"0001*{phone}"
    form = {
        "CallID": key,
        "CallerIDNum": f"+48{caller}",
        "CallerIDName": "",
        "CalledDID": f"48{SPA}",
        "CalledExtension": extension,
        "CallerExtension": "",
        "CalledNumber": extension,
        "CallStatus": status,
        "CallFlow": "IN",
        "CallAPIID": f"88-{key}",
    }
    return Step(at, says, f"{cast.url('voipnow')}/{event}", form=form)


def voipnow_answered(cast: Cast) -> Story:
    """Two phones ring, one is answered: told while it happens."""
    key, caller, (first, second) = cast.key(), cast.caller(), cast.phones(2)
    talk = cast.seconds(8, 30)
    steps = (
        _voipnow(cast, 0, f"{first} rings", "dial-in", key, caller, first, "CALLING"),
        _voipnow(cast, 0, f"{second} rings", "dial-in", key, caller, second, "CALLING"),
        _voipnow(cast, 4, f"{second} answers", "answer-in", key, caller, second, "ANSWER"),
        _voipnow(cast, 4.2, f"{first} stops ringing", "hangup", key, caller, first, "CANCEL"),
        _voipnow(cast, 4 + talk, f"{second} hangs up", "hangup", key, caller, second, "ANSWER"),
    )
    return Story("voipnow", "two phones ring, one answers", key, steps, "answered", f"0001*{second}")


def voipnow_transfer(cast: Cast) -> Story:
    """One answers and hands the call on to another."""
    key, caller, (first, second) = cast.key(), cast.caller(), cast.phones(2)
    steps = (
        _voipnow(cast, 0, f"{first} rings", "dial-in", key, caller, first, "CALLING"),
        _voipnow(cast, 3, f"{first} answers", "answer-in", key, caller, first, "ANSWER"),
        _voipnow(cast, 15, f"{first} asks {second}", "dial-in", key, caller, second, "CALLING"),
        _voipnow(cast, 18, f"{second} answers", "answer-in", key, caller, second, "ANSWER"),
        _voipnow(cast, 18.5, f"{first} leaves", "hangup", key, caller, first, "ANSWER"),
        _voipnow(cast, 40, f"{second} hangs up", "hangup", key, caller, second, "ANSWER"),
    )
    return Story("voipnow", "a call is transferred", key, steps, "answered", f"0001*{second}")


def voipnow_busy(cast: Cast) -> Story:
    """The phone is engaged."""
    key, caller, (phone,) = cast.key(), cast.caller(), cast.phones(1)
    steps = (
        _voipnow(cast, 0, f"{phone} is called", "dial-in", key, caller, phone, "CALLING"),
        _voipnow(cast, 0.6, f"{phone} is engaged", "hangup", key, caller, phone, "BUSY"),
    )
    return Story("voipnow", "an engaged phone", key, steps, "busy")


# --- Datera and any other: our own field names


def generic_outgoing(cast: Cast) -> Story:
    """An outgoing call with a recording somewhere else."""
    return _own_names(cast, "generic")


def datera_outgoing(cast: Cast) -> Story:
    """The same on the Datera channel."""
    return _own_names(cast, "datera")


def _own_names(cast: Cast, provider: str) -> Story:
    key, customer, (phone,) = cast.key(), cast.caller(), cast.phones(1)
    common = {"call": key, "direction": "outgoing", "from": NUMBER, "to": customer, "leg": phone}
    recording = {"event": "noted", "call": key, "recording": f"https://recordings.example/{key}.mp3"}
    steps = (
        Step(0, f"{phone} dials", cast.url(provider), json={"event": "ringing", **common}),
        Step(5, "the customer answers", cast.url(provider), json={"event": "answered", **common}),
        Step(24, "over", cast.url(provider), json={"event": "ended", "outcome": "answered", "call": key}),
        Step(26, "a recording is there", cast.url(provider), json=recording),
    )
    return Story(provider, "somebody is called, and answers", key, steps, "answered", phone)


# --- partner


def _partner(cast: Cast, at: float, says: str, **body: Any) -> Step:
    headers = {
        "Authorization": f"Bearer {cast.demo['partner']['token']}",
        "Accept": "application/vnd.api.v2+json",
    }
    told = {"crm_token": cast.demo["account"]["crm_token"], "diversion": f"+48{SPA}", **body}
    return Step(at, says, cast.url("partner"), json=told, headers=headers)


def partner_success(cast: Cast) -> Story:
    """The partner tells that it rings, and afterwards all the rest."""
    key, phone, (user,) = cast.key(), f"+48{cast.caller()}", cast.phones(1)
    talk = round(cast.seconds(5, 30))
    record = {"call_id": key, "status": "success", "duration": talk, "date": BEGAN}
    steps = (
        _partner(cast, 0, f"{user} rings", command="event", type="incoming", phone=phone, user=user),
        _partner(cast, 4 + talk, "the record", command="history", type="incoming", phone=phone, user=user, **record),
    )
    return Story("partner", "rings, and then its record", key, steps, "answered")


def partner_missed(cast: Cast) -> Story:
    """A call that nobody took."""
    key, phone = cast.key(), f"+48{cast.caller()}"
    record = {"call_id": key, "status": "missed", "duration": 0}
    steps = (
        _partner(cast, 0, "the salon's number rings", command="event", type="incoming", phone=phone),
        _partner(cast, 20, "the record", command="history", type="incoming", phone=phone, **record),
    )
    return Story("partner", "nobody takes it", key, steps, "missed")


# --- channel key


def channel_key_recorded(cast: Cast) -> Story:
    """A call with a ticket, an answer, a comment and its recording as a file."""
    key, caller, (phone,) = cast.key(), cast.caller(), cast.phones(1)
    url = cast.url("channel_key")
    create = [("action", "create_call"), ("direction", "incoming"), ("phone", caller), ("pbx_call_id", key)]
    update = [("action", "update_call"), ("pbx_call_id", key)]
    steps = (
        Step(0, f"{phone} rings", url, multipart=[*create, ("pbx_user_ids[]", phone)], times=2),
        Step(5, f"{phone} answers", url, json={**dict(update), "call_status": "in-progress", "pbx_user_id": phone}),
        Step(
            21,
            "over; comment and recording",
            url,
            multipart=[*update, ("call_status", "answered"), ("comment", "Wants an appointment on Friday")],
            file=File("audio_record", f"{key}.wav", tone(0.5), "audio/wav"),
        ),
    )
    return Story("channel_key", "a call with a ticket and a recording", key, steps, "answered")


def channel_key_missed(cast: Cast) -> Story:
    """A call shown to a group of people, none of whom takes it; the late ring after its end changes nothing."""
    key, caller = cast.key(), cast.caller()
    url = cast.url("channel_key")
    create = {"action": "create_call", "direction": "incoming", "phone": caller, "pbx_call_id": key}
    update = {"action": "update_call", "pbx_call_id": key}
    steps = (
        Step(0, "everybody's phone rings", url, form=create),
        Step(14, "the caller gives up", url, form={**update, "call_status": "missed"}),
        Step(15, "a late word", url, form={**update, "call_status": "ringing"}),
    )
    return Story("channel_key", "nobody takes it", key, steps, "missed")


def tone(seconds: float) -> bytes:
    """A WAV file: 440 Hz, 8 kHz, 16 bits, one channel."""
    samples = [round(8000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(round(8000 * seconds))]
    data = struct.pack(f"<{len(samples)}h", *samples)
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(data),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        8000,
        16000,
        2,
        16,
        b"data",
        len(data),
    )
    return head + data


STORIES: Final[tuple[Callable[[Cast], Story], ...]] = (
    supervoip_answered,
    telecube_queue,
    voipnow_answered,
    partner_success,
    channel_key_recorded,
    supervoip_hunting,
    telecube_missed,
    voipnow_transfer,
    generic_outgoing,
    partner_missed,
    channel_key_missed,
    supervoip_end_first,
    voipnow_busy,
    datera_outgoing,
)
