"""What the router bench reports: medians over the rounds and the goals they are held against, as JSON or as a table."""

import msgspec

from agt.chaos.bench.router._tasks import Moves, Times

DECISION_P50_MAX_NS = 1000.0
DEVICE_MAX_BYTES = 200.0
ADDED_MAX = 0.25
ROUTED_MAX_MS = 1000.0
SETTLED_MAX_MS = 5000.0


class Decision(msgspec.Struct, frozen=True):
    """One decision for a device that the router knows: by name, with the clock, rules and vetoes."""

    devices: int
    in_turn_ns: Times
    """Devices in the order in which they came, as a change of route asks them."""
    unsalted_ns: Times
    """Devices at random: most of it is finding them in memory."""
    salted_ns: Times
    """The same with a salt."""
    timer_ns: float
    """What reading the clock costs; it is part of all."""


class Memory(msgspec.Struct, frozen=True):
    """Resident bytes for each device, without its name and its paths, which somebody else holds."""

    known_bytes: int
    """Of a device that has not been sent anything."""
    sent_bytes: int
    """Of one that has been: with its own counts."""
    attach_us: float


class Added(msgspec.Struct, frozen=True):
    """One path's processor microseconds a message at the sender, at one window."""

    in_flight: int
    session_us: float
    """The transport's own."""
    path_us: float
    router_us: float
    added: float
    """What path and router add, as a share of the transport's own: the median of the rounds."""
    added_by_router: float
    """What the router alone adds to the bare path, as a share of the transport's own."""


class Goal(msgspec.Struct, frozen=True):
    """One figure beside what it should be at most."""

    name: str
    value: float
    at_most: float
    reached: bool


class RouterResult(msgspec.Struct, frozen=True):
    """Everything that `agt bench router --json` prints."""

    rounds: int
    payload_bytes: int
    decision: Decision
    memory: Memory
    reliable: tuple[Added, ...]
    legacy: tuple[Added, ...]
    devices_moved: int
    in_flight_each: int
    moves: Moves
    goals: tuple[Goal, ...]


def goals(decision: Decision, memory: Memory, reliable: tuple[Added, ...], moves: Moves) -> tuple[Goal, ...]:
    """Hold the figures against what was asked of them."""
    wanted = [
        ("decision_p50_ns", max(decision.unsalted_ns.p50, decision.salted_ns.p50), DECISION_P50_MAX_NS),
        ("bytes_per_known_device", memory.known_bytes, DEVICE_MAX_BYTES),
        *((f"added_{one.in_flight}_in_flight", one.added, ADDED_MAX) for one in reliable),
        ("kill_routed_ms", max(moves.killed.routed_ms, moves.killed_silent.routed_ms), ROUTED_MAX_MS),
        ("kill_settled_ms", max(moves.killed.settled_ms, moves.killed_silent.settled_ms), SETTLED_MAX_MS),
    ]
    return tuple(Goal(name, value, at_most, value <= at_most) for name, value, at_most in wanted)


def table(result: RouterResult) -> str:
    """Return the result for people."""
    decision, memory, moves = result.decision, result.memory, result.moves
    rows = [
        f"medians of {result.rounds}, {result.payload_bytes}-byte messages",
        f"a decision at {decision.devices:,} known devices, of it {decision.timer_ns:.0f} ns for the clock:",
        f"{'  ns':26}{'p50':>10}{'p99':>10}",
        _times("  in turn", decision.in_turn_ns),
        _times("  at random", decision.unsalted_ns),
        _times("  at random, salted", decision.salted_ns),
        f"a known device: {memory.known_bytes} bytes, {memory.sent_bytes} once it was sent something, "
        f"{memory.attach_us} us to take in",
        f"{'a message, processor us':26}{'session':>10}{'path':>10}{'router':>10}{'added':>10}",
        *(_added("reliable", one) for one in result.reliable),
        *(_added("legacy", one) for one in result.legacy),
        f"{f'{result.devices_moved:,} devices, ms':26}{'routed':>10}{'settled':>10}",
    ]
    for name in ("raised", "lowered", "killed", "killed_silent"):
        moved = getattr(moves, name)
        rows.append(f"{'  ' + name.replace('_', ', '):26}{moved.routed_ms:>10.0f}{moved.settled_ms:>10.0f}")
    rows += [
        f"{'reached' if goal.reached else 'NOT REACHED':12}{goal.name}: {goal.value:g}, goal {goal.at_most:g}"
        for goal in result.goals
    ]
    return "\n".join(rows)


def _times(name: str, times: Times) -> str:
    return f"{name:26}{times.p50:>10.0f}{times.p99:>10.0f}"


def _added(path: str, one: Added) -> str:
    name = f"  {path}, {one.in_flight:,} in flight"
    return f"{name:26}{one.session_us:>10.2f}{one.path_us:>10.2f}{one.router_us:>10.2f}{one.added:>9.0%} "
