"""Acts, fields and rules of mirrored messages: what may be asked twice, and what counts as a difference."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router import Message
from agt.router.shadow import (
    ABSENT,
    NO_RULES,
    Act,
    Room,
    RulesInvalid,
    Same,
    ShadowRules,
    act_of,
    compare_leaves,
    cync,
    everything_writes,
    first_of,
    json_fields,
    lines,
    parse_shadow_rules,
    raw_fields,
    reply_leaves,
)
from agt.router.shadow._fields import LEAVES_MAX, REPLY_MAX_BYTES, shown
from agt.transport.wires.cync import answer, heartbeat, packet, power_command, status

ENDPOINT = bytes.fromhex("45880f3a")
ASKS_THE_MESH = packet(0x73, ENDPOINT + bytes.fromhex("00100000 7e 1f000000f85206000000ffff0000 56 7e")).data
NOON = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
FLEET = first_of(cync.classify, lines.classify)


def message(payload: bytes) -> Message:
    """A message."""
    return Message("d", 1, payload)


def leaves(value: object) -> dict[str, Any]:
    """A JSON reply's leaves."""
    return reply_leaves(json_fields, message(b""), json.dumps(value).encode())


@pytest.mark.parametrize(
    ("payload", "act"),
    [
        (ASKS_THE_MESH, Act.READ),
        (ASKS_THE_MESH[:-2] + bytes((0x57, 0x7E)), Act.WRITE),  # A wrong checksum: who knows what it is.
        (power_command(ENDPOINT, 0x50, on=True, number=7).data, Act.WRITE),
        (packet(0x73, ENDPOINT + b"\x00\x10\x00").data, Act.WRITE),
        (packet(0xC8, b"\x0d" + bytes(10)).data, Act.WRITE),
        (packet(0xD8).data, Act.READ),
        (packet(0x28, b"\x00\x00").data, Act.WRITE),
        (b"set 1 1", Act.WRITE),
        (b"get 1", Act.READ),
        (b"GET 1", Act.WRITE),
        (b"get 1\nset 2 1", Act.WRITE),
        (b"", Act.WRITE),
        (b"\xff\xfe nonsense", Act.WRITE),
    ],
)
def test_only_what_is_known_to_ask_is_a_read(payload: bytes, act: Act) -> None:
    """Everything else may act on the world."""
    assert act_of(FLEET, message(payload)) is act


@given(st.binary(max_size=200))
def test_no_bytes_make_a_read_that_nobody_listed(payload: bytes) -> None:
    """A read is an acknowledgement, the mesh's question, or a line with a known verb."""
    if act_of(FLEET, message(payload)) is Act.READ:
        verb = payload.split(maxsplit=1)[0] if payload.split() else b""
        assert payload[0] in cync.ACKNOWLEDGEMENTS or verb in lines.READS or b"\xf8\x52" in payload


def test_a_classifier_that_fails_leaves_a_write() -> None:
    """Whatever a classifier does but say read."""

    def raises(_: Message) -> Act:
        raise ValueError("no idea")

    def lies(_: Message) -> Act:
        return "read"  # type: ignore[return-value]

    assert act_of(raises, message(b"x")) is Act.WRITE
    assert act_of(lies, message(b"x")) is Act.WRITE
    assert act_of(first_of(raises, lines.classify), message(b"get 1")) is Act.READ
    assert act_of(everything_writes, message(b"get 1")) is Act.WRITE
    assert lines.classifier({b"peek"})(message(b"peek 1")) is Act.READ


def test_cync_replies_are_fields_without_what_names_the_exchange() -> None:
    """Two acks of two commands are equal; another content isn't."""
    first, second = (answer(power_command(ENDPOINT, 1, on=True, number=number)) for number in (1, 2))
    assert first is not None
    assert second is not None
    assert cync.reply_fields(message(b""), first.data) == cync.reply_fields(message(b""), second.data)
    assert cync.reply_fields(message(b""), first.data) == {"type": "data ack", "rest": "00"}
    states = [status(ENDPOINT, bytes(9) + bytes((on,)), message_id=3).data for on in (0, 1)]
    shows = [cync.reply_fields(message(b""), state) for state in states]
    assert shows[0]["type"] == "status"
    assert shows[0]["content"] != shows[1]["content"]
    assert cync.reply_fields(message(b""), b"\x73junk") == {"undecodable": "73 6a 75 6e 6b"}
    assert cync.reply_fields(message(b""), heartbeat().data)["type"] == "heartbeat"


def test_line_replies_are_words_without_the_number() -> None:
    """`ok 7 on` and `ok 8 on` say the same."""
    assert lines.reply_fields(message(b""), b"ok 7 on") == {"verb": "ok", "word1": "on"}
    assert lines.reply_fields(message(b""), b"ok 8 on") == {"verb": "ok", "word1": "on"}
    assert lines.reply_fields(message(b""), b"error no such lamp") == {
        "verb": "error",
        "word1": "no",
        "word2": "such",
        "word3": "lamp",
    }
    assert lines.reply_fields(message(b""), b"") == {"verb": ""}


def test_json_is_compared_member_by_member() -> None:
    """By path; counted by a name in which the places of a list are one."""
    ours = leaves({"a": {"b": 1, "c": None}, "list": [{"x": 1}, {"x": 2}], "e": {}})
    theirs = leaves({"list": [{"x": 1}, {"x": 3}, {"x": 4}], "a": {"c": None, "b": True}, "e": {}})
    found = compare_leaves(ours, theirs, NO_RULES, now=0.0)
    assert {(one.path, one.name, one.carried, one.other) for one in found.differences} == {
        ("reply.a.b", "reply.a.b", 1, True),
        ("reply.list.1.x", "reply.list.*.x", 2, 3),
        ("reply.list.2.x", "reply.list.*.x", ABSENT, 4),
    }
    assert found.deltas == {"reply.list.*.x": 1.0}


LEAF = st.none() | st.booleans() | st.floats() | st.text()


@settings(max_examples=40)
@given(st.recursive(LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=15))
def test_an_answer_never_differs_from_itself(value: object) -> None:
    """Whatever JSON can hold, and what only Python's JSON holds."""
    found = compare_leaves(leaves(value), leaves(value), NO_RULES, now=0.0)
    assert found.differences == []


def test_no_reply_exhausts_the_comparer() -> None:
    """Huge, deep and wide replies are compared as far as the limits go, and by checksum beyond."""
    wide = leaves(list(range(3 * LEAVES_MAX)))
    other = leaves([*range(3 * LEAVES_MAX - 1), -1])
    assert len(wide) == LEAVES_MAX + 1
    assert compare_leaves(wide, other, NO_RULES, now=0.0).names == {"reply.(rest)"}
    deep = reply_leaves(json_fields, message(b""), b"[" * 50_000 + b"]" * 50_000)
    assert len(deep) <= 2
    large = reply_leaves(json_fields, message(b""), b'"' + b"x" * REPLY_MAX_BYTES + b'"')
    assert set(large) == {"reply.bytes", "reply.crc32"}
    assert len(shown(10**5000)) < 200
    assert len(shown("x" * 10_000)) <= 120


def test_a_decoder_that_fails_is_a_field() -> None:
    """It neither stops the comparison nor hides that the two answers differ in how they can be read."""

    def extract(_: Message, reply: bytes) -> dict[str, Any]:
        return {"number": int(reply)}

    ours, theirs = (reply_leaves(extract, message(b""), reply) for reply in (b"7", b"seven"))
    assert compare_leaves(ours, theirs, NO_RULES, now=0.0).names == {"reply.number", "reply.undecodable"}
    assert raw_fields(message(b""), b"\xff") == {"bytes": "ff"}


RULES = """
[[ignore]]
field = "reply.at"
owner = "ann"
reason = "a time stamp"
expires = 2026-06-01T12:00:00Z

[[room]]
field = "reply.price"
relative = 0.01

[[same]]
field = "reply.status"
values = ["ok", "done", 200]
"""


def test_rules_say_what_counts(tmp_path: Path) -> None:
    """Ignored until the end, numbers with room, values that mean the same."""
    rules = parse_shadow_rules(RULES)
    ours = leaves({"at": 1, "price": 100.0, "status": "ok"})
    theirs = leaves({"at": 2, "price": 100.9, "status": "done"})
    before = compare_leaves(ours, theirs, rules, now=NOON.timestamp() - 1)
    assert (before.names, before.ignored) == (frozenset(), {"reply.at"})
    assert compare_leaves(ours, theirs, rules, now=NOON.timestamp()).names == {"reply.at"}
    farther = leaves({"at": 1, "price": 101.1, "status": 200})
    assert compare_leaves(ours, farther, rules, now=0.0).names == {"reply.price"}


def test_true_is_not_one_and_latency_counts_only_with_room() -> None:
    """What is measured is never twice the same."""
    assert not NO_RULES.equal("reply.on", True, 1)
    assert not ShadowRules(same=(Same(field="reply.on", values=(1, "yes")),)).equal("reply.on", True, "yes")
    assert NO_RULES.equal("latency_s", 0.1, 9.0)
    assert not ShadowRules(room=(Room(field="latency_s", absolute=0.5),)).equal("latency_s", 0.1, 9.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[ignore]]\nfield = 'x'\nowner = 'ann'\nreason = 'known'\n", "expires"),
        ("[[ignore]]\nfield = 'x'\nowner = 'a'\nreason = 'b'\nexpires = 2026-06-01T12:00:00\n", "needs an offset"),
        ("[[room]]\nfield = 'x'\n", "gives no room"),
        ("[[same]]\nfield = 'x'\nvalues = ['one']\n", "length >= 2"),
        ("nonsense = 1\n", "unknown field `nonsense`"),
        ("[[", "shadow.toml"),
    ],
)
def test_wrong_rules_are_refused_in_words(text: str, says: str) -> None:
    """Each with where it is wrong."""
    with pytest.raises(RulesInvalid, match=says.replace("[", r"\[")):
        parse_shadow_rules(text)
