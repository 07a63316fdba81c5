"""Bugs on the wires that devices in the field speak, and in ids that messages bring along (promises 1, 3 and 5)."""

from collections.abc import Hashable
from types import SimpleNamespace

from agt.transport import Outcome, Received, Settled
from agt.transport._metrics import TransportMetrics
from agt.transport._own_ids import OwnIds, _Known
from agt.transport.wires.cync._dedup import Copy, ResendWindow
from agt.transport.wires.cync._matcher import AckMatcher, Key
from agt.transport.wires.lines import LinesConfig, LinesLink
from agt.transport.wires.lines import _link as lines_link
from support.cync_pair import ENDPOINT, Pair, command, report
from support.mutants import Mutant, Patch, story

REMEMBERED = 50
STATUS_ACK = 0x88
COMMAND = 0x73
ANSWER_TO_ANOTHER = bytes.fromhex("7b 00 00 00 07") + ENDPOINT + bytes.fromhex("0f ff 00")
WARM_UP = range(100, 130)


def repeats_on_purpose_pass() -> None:
    """A device that says the same thing every three seconds is heard each time."""
    pair = Pair().connect().run(1.0)
    for _ in range(4):
        pair.device.send(report(7), now=pair.now, deadline=pair.now + 20.0)
        pair.run(pair.now + 3.0)
    got = [payload for payload in pair.received("controller") if payload == report(7)]
    assert len(got) == 4, f"{len(got)} of 4 reports of a device were heard"


def resends_are_recognised() -> None:
    """A packet that is resent because its answer was lost is handed over once."""
    lossy: list[bytes] = []

    def fate(to: str, data: bytes) -> int:
        if to == "device" and data[0] == STATUS_ACK and lossy:
            lossy.clear()
            return 0
        return 1

    pair = Pair(fate=fate).connect().run(1.0)
    for number in WARM_UP:  # Its timer has to be quick, or nobody could tell its resend from a repetition.
        pair.device.send(report(number), now=pair.now, deadline=pair.now + 20.0)
        pair.run(pair.now + 0.5)
    lossy.append(report(7))
    pair.device.send(report(7), now=pair.now, deadline=pair.now + 20.0)
    pair.run(pair.now + 10.0)
    got = [payload for payload in pair.received("controller") if payload == report(7)]
    assert len(got) == 1, f"one report came {len(got)} times to the application"


def an_answer_settles_its_own_message() -> None:
    """A command whose copies are all lost is not told to be delivered by an answer that names another."""
    pair = Pair(fate=lambda to, data: int(to != "device" or data[0] != COMMAND)).connect().run(1.0)
    lost = pair.controller.send(command(1), now=pair.now, deadline=pair.now + 20.0)
    pair.run(pair.now + 0.1)
    pair.controller.receive_data(ANSWER_TO_ANOTHER, now=pair.now)
    pair.run(pair.now + 30.0)
    assert _outcomes(pair)[id(lost)] is not Outcome.DELIVERED, "what never arrived was told to be delivered"


def _outcomes(pair: Pair) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {}
    for event in pair.events["controller"]:
        for message in getattr(event, "messages", ()):
            found[id(message)] = Outcome.DELIVERED
        if isinstance(event, Settled):
            found[id(event.message)] = event.outcome
    return found


def written_is_not_delivered() -> None:
    """What went out on a wire that answers nothing ends as written, whatever comes back."""
    link = LinesLink("controller", LinesConfig())
    link.connection_made(now=0.0)
    link.receive_data(b"hello lamp-1\n", now=0.0)
    link.send(b"set 1 1", now=0.0, deadline=5.0)
    link.data_to_send(now=0.0)
    link.receive_data(b"ok 1\n", now=0.1)
    outcomes = set()
    while (event := link.next_event()) is not None:
        outcomes |= {event.outcome} if isinstance(event, Settled) else set()
        outcomes |= {Outcome.DELIVERED} if getattr(event, "messages", ()) else set()
    assert outcomes == {Outcome.WRITTEN}, f"a message that was only written ended as {sorted(outcomes)}"


def own_ids_are_bounded() -> None:
    """Ids that messages bring are remembered for a number of messages and a time, no longer."""
    ids = OwnIds(bytes, size=REMEMBERED, ttl_s=300.0, metrics=TransportMetrics())
    for number in range(4 * REMEMBERED):
        runs, _ = ids.sift(Received(number, [b"%d" % number]), float(number))
        assert len(runs) == 1
        ids.processed(number)
    assert len(ids) <= REMEMBERED, f"{len(ids)} ids remembered where {REMEMBERED} may"
    runs, done = ids.sift(Received(10**6, [b"%d" % (4 * REMEMBERED - 1)]), 4.0 * REMEMBERED)
    assert (runs, done) == ([], [10**6]), "a copy with a known id was handed out"
    runs, _ = ids.sift(Received(10**6 + 1, [b"%d" % (4 * REMEMBERED - 1)]), 10_000.0)
    assert len(runs) == 1, "an id of long ago kept a new message out"


def dedup_for_minutes(patch: Patch) -> None:
    """A controller takes whatever a device has said in the last minutes for a resend."""
    make = ResendWindow.__init__

    def buggy(self: ResendWindow, window_s: float = 0.5, **options: int) -> None:
        make(self, 300.0, **options)

    patch.setattr(ResendWindow, "__init__", buggy)


def no_resend_recognised(patch: Patch) -> None:
    """A controller hands a packet over as often as it comes."""
    patch.setattr(ResendWindow, "classify", lambda self, data, *, now: Copy.NEW)


def any_answer_will_do(patch: Patch) -> None:
    """An acknowledgement settles the oldest message that waits, whichever it names."""
    match = AckMatcher.match

    def buggy(self: AckMatcher, key: Key) -> int | None:
        return match(self, next(iter(self._waiting), key))

    patch.setattr(AckMatcher, "match", buggy)


def written_called_delivered(patch: Patch) -> None:
    """A path that hears nothing says that its messages were delivered."""
    patch.setattr(lines_link, "Outcome", SimpleNamespace(WRITTEN=Outcome.DELIVERED))


def ids_without_end(patch: Patch) -> None:
    """Every id that a message ever brought is remembered."""
    patch.setattr(OwnIds, "_remember", _remember_all)


def _remember_all(self: OwnIds, key: Hashable, token: int, now: float) -> None:
    self._known[key] = _Known(now, token)
    self._pending[token] = key


def ids_for_ever(patch: Patch) -> None:
    """An id counts as known however long ago its message came."""
    recall = OwnIds._recall

    def buggy(self: OwnIds, key: Hashable, now: float) -> object:
        return recall(self, key, 0.0)

    patch.setattr(OwnIds, "_recall", buggy)


REPEATS, RESENDS, OWN = story(repeats_on_purpose_pass), story(resends_are_recognised), story(own_ids_are_bounded)
ITS_OWN, WRITTEN = story(an_answer_settles_its_own_message), story(written_is_not_delivered)

MUTANTS = (
    Mutant(any_answer_will_do, 1, ITS_OWN, "what never arrived was told to be delivered", "cync"),
    Mutant(written_called_delivered, 1, WRITTEN, "only written ended as", "lines"),
    Mutant(dedup_for_minutes, 3, REPEATS, "of 4 reports of a device were heard", "cync"),
    Mutant(no_resend_recognised, 3, RESENDS, "times to the application", "cync"),
    Mutant(ids_for_ever, 3, OWN, "kept a new message out", "ids"),
    Mutant(ids_without_end, 5, OWN, "ids remembered where", "ids"),
)
