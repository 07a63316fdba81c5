"""A mirrored message never acts twice on the world, and nobody but the counts can tell that there was one."""

import msgspec
import pytest

from agt.chaos.sim.moves import router_profile_of
from agt.router import Message
from agt.router.shadow import Act, Shadow
from support.shadow_plant import PlantWorld
from support.shadow_world import MakeShadow, ShadowWorld, with_twins


def story(seed: int, make_shadow: MakeShadow | None) -> tuple[list[str], ShadowWorld, str]:
    """Everything that sources and devices saw in a world, and the promise that was broken in it, if any."""
    profile = msgspec.structs.replace(router_profile_of(seed), kills=0.0, wire=("lines", "cync")[seed % 4 == 0])
    world = ShadowWorld(seed, profile, make_shadow=make_shadow)
    broken = ""
    try:
        world.live()
    except AssertionError as promise:
        broken = str(promise)
    return world.lines, world, broken


def look_the_same(seeds: range) -> int:
    """Live each seed with a shadow and without; returns how many messages were mirrored."""
    mirrored = 0
    for seed in seeds:
        shadowed, world, broken = story(seed, with_twins)
        plain, _, as_broken = story(seed, None)
        assert broken == as_broken, f"seed {seed}"
        assert shadowed == plain, f"seed {seed}: the shadow can be seen"
        mirrored += sum(len(twin.taken) for twin in world.twins)
        assert all(shadow.held <= shadow._queue_max for shadow in world.shadows)
    return mirrored


def test_a_world_with_a_shadow_looks_like_the_one_without() -> None:
    """The same commands reach the same devices at the same instants, whatever becomes of the twins."""
    assert look_the_same(range(3)) > 20


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_many_worlds_with_a_shadow_look_like_those_without() -> None:
    """Drops, doubles, reordering, delays, cuts, gateway kills, full disks and queues, broken twins."""
    assert look_the_same(range(3, 150)) > 2000


def test_a_shadow_that_acts_is_seen() -> None:
    """The worlds catch what they are there for: a twin that is the device itself."""

    def careless(_: ShadowWorld, process: object) -> Shadow:
        router = process.router  # type: ignore[attr-defined]

        class Itself:
            def send(self, message: Message) -> object:
                return router._state.devices[message.device].paths["reliable"].send(message)

        return Shadow({"reliable": Itself()})  # type: ignore[dict-item]

    assert all("one owner" in story(seed, careless)[2] for seed in (1, 2))


def moves_once(seed: int) -> PlantWorld:
    """Live a plant's world and hold that its motor moved once a command."""
    world = PlantWorld(seed)
    world.live()
    assert world.confirmed == 40, f"seed {seed}: a healed world gets everything done"
    assert world.plant.moves == dict.fromkeys(range(1, 41), 1), f"seed {seed}"
    assert world.plant.by_mirror == [], f"seed {seed}: a mirrored write reached the plant"
    return world


def test_the_motor_moves_once_for_each_command() -> None:
    """Whatever fails; reads are mirrored to the plant itself, writes to its stand-in, and some of both are lost."""
    worlds = [moves_once(seed) for seed in range(4)]
    counts = [shadow.counts for world in worlds for shadow in world.shadows]
    assert sum(one.writes for one in counts) > 100
    assert sum(one.reads for one in counts) > 20
    assert {"full", "broken", "resting", "queue"} <= {why for one in counts for why in one.shed}
    assert sum(one.timed_out for one in counts) == 0, "these twins always settle"
    assert sum(world.stand_in.moves.total() for world in worlds) > 50


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_motor_moves_once_in_many_worlds() -> None:
    """The same over 400 seeds."""
    for seed in range(4, 404):
        moves_once(seed)


def test_a_write_taken_for_a_read_is_seen_at_the_motor() -> None:
    """The oracle catches what it is there for."""
    world = PlantWorld(1, classifier=lambda _: Act.READ)
    world.live()
    assert world.plant.by_mirror
