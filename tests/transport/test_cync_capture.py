"""The recorded traffic of unmodified devices, packet by packet: what facts.md says of it, and that we answer the same.

Skipped where the recording isn't beside the project.
"""

import os
import re
from collections import Counter, defaultdict, deque
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from agt.transport import Opened, Received
from agt.transport.wires.cync import (
    TYPES,
    CyncConfig,
    CyncLink,
    Malformed,
    Packet,
    PacketParser,
    answer,
    inner_frame,
    one_packet,
)

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("AGT_SHARED_DATA", ROOT.parent / "shared" / "data")) / "cync"
HEAD = re.compile(r"\S+T(\d+):(\d+):([\d.]+) (DEV→CLOUD|CLOUD→DEV).* \(\d+ bytes\)")
REAL, MADE = "capture_20251106_082038.txt", "made_commands.txt"


@cache
def packets(name: str) -> tuple[tuple[float, bool, Packet], ...]:
    """Read a recording: when, whether from a device, and the packet."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the project; set AGT_SHARED_DATA to the folder that has cync/{name}")
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for head, body in pairwise(lines):
        if match := HEAD.match(head):
            hours, minutes, seconds, direction = match.groups()
            for item in PacketParser().feed(bytes.fromhex(body)):
                assert not isinstance(item, Malformed)
                at = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
                found.append((at, direction == "DEV→CLOUD", item))
    return tuple(found)


def test_the_recording_holds_what_facts_say_of_it() -> None:
    """2,380 packets of 25 devices, none over 145 bytes, no commands."""
    items = [item for _, _, item in packets(REAL)]
    assert len(items) == 2380
    assert len({item.endpoint for item in items if item.endpoint}) == 25
    assert max(len(item.data) for item in items) == 145
    assert not any(item.type == 0x73 for item in items)
    assert {item.data[9:11] for item in items if item.type == 0x43} == {b"\x01\x01"}


@pytest.mark.parametrize("name", [REAL, MADE])
def test_every_recorded_answer_is_the_one_that_we_would_give(name: str) -> None:
    """Matched as our matcher does, by type, id and order: byte for byte, and none is left over."""
    waiting: dict[tuple[object, ...], deque[Packet]] = defaultdict(deque)
    answered: Counter[int] = Counter()
    for _, _, item in packets(name):
        # The recording names no connection; where an answer carries an endpoint, that tells the device.
        if not TYPES[item.type].is_request:
            asked = waiting[*item.key, item.endpoint].popleft()
            ours = answer(asked, time=item.body)
            assert ours == item
            answered[item.type] += 1
        if (key := item.answer_key) is not None:
            named = TYPES[key[0]].endpoint_at is not None
            waiting[*key, item.endpoint if named else None].append(item)
    left = Counter(item.type for queue in waiting.values() for item in queue)
    if name == REAL:
        assert answered == {0xD8: 658, 0x48: 381, 0x88: 101, 0x28: 25, 0xC8: 25}
        assert left == {}
    else:
        assert answered == {0x28: 25, 0x7B: 400, 0x88: 400, 0xD8: 100}
        assert left == {0x7B: 400}, "the recording leaves out the last word, 0x78"


@pytest.mark.parametrize("name", [REAL, MADE])
def test_every_recorded_inner_frame_agrees_with_its_checksum(name: str) -> None:
    """By position; six of the 101 recorded statuses have no first marker."""
    frames = [inner_frame(item) for _, _, item in packets(name) if item.type in {0x73, 0x83}]
    assert Counter(None if frame is None else frame.valid for frame in frames) == (
        {True: 95, None: 6} if name == REAL else {True: 800}
    )


def test_recorded_devices_are_served_by_the_link_without_losing_a_packet() -> None:
    """Each device's packets at their recorded times on a link of its own: all handed on, answered as recorded.

    Of the 299 identical repeats not one is thrown away.
    """
    sent, handed_on, answers = Counter(), Counter(), Counter()
    links: dict[bytes, CyncLink] = {}
    for at, from_device, item in packets(REAL):
        if not from_device or item.endpoint is None:
            continue
        link = links.get(item.endpoint)
        if link is None:
            link = links[item.endpoint] = CyncLink("controller", CyncConfig(hand_on=frozenset({0x43, 0x83})))
            link.connection_made(now=at)
        sent[item.type] += 1
        link.receive_data(item.data, now=at)
        while (event := link.next_event()) is not None:
            if isinstance(event, Received):
                handed_on[event.payloads[0][0]] += 1
                link.acknowledge(event.token, now=at)
            else:
                assert isinstance(event, Opened)
        reply = link.data_to_send(now=at)
        assert reply == one_packet(reply).data == answer(item).data
        answers[reply[0]] += 1
    assert len(links) == 25
    assert handed_on == {0x43: sent[0x43], 0x83: sent[0x83]} == {0x43: 381, 0x83: 101}
    assert answers == {0x28: 25, 0x48: 381, 0x88: 101}
    assert sum(link.duplicates_dropped + link.decode_errors + link.damaged for link in links.values()) == 0
