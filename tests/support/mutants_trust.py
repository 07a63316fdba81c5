"""Bugs in who is believed (promise 8), caught by short stories of a key exchange, its records and its door."""

import struct
from collections.abc import Callable
from random import Random
from types import SimpleNamespace

from agt.transport import AdmissionLimits, KeyRing, PreSharedKey
from agt.transport.trust import (
    AcceptingLayer,
    DiallingLayer,
    HalfOpenBudget,
    KeyedAcceptor,
    NotProven,
    WrongTag,
    _challenge,
    _key_layer,
    _records,
)
from agt.transport.trust._challenge import Secrets
from agt.transport.trust._keyed_acceptor import KeyedGreeting
from agt.transport.wires.native import Greeting, NativeAcceptor, NativeLink, Refused
from support.mutants import Mutant, Patch, story

KEY = PreSharedKey("k1", bytes(range(32)))
PLACES = 4


def _pair(seed: int = 1) -> tuple[DiallingLayer, AcceptingLayer]:
    rng = Random(seed)
    return DiallingLayer(KEY, "device", rng=rng), AcceptingLayer(KeyRing(KEY).get, "gateway", rng=rng)


def _proven() -> tuple[DiallingLayer, AcceptingLayer]:
    dialler, acceptor = _pair()
    acceptor.receive_data(dialler.data_to_send())
    dialler.receive_data(acceptor.data_to_send())
    acceptor.receive_data(dialler.data_to_send())
    return dialler, acceptor


def _refuses(take: Callable[[], object]) -> bool:
    try:
        take()
    except (NotProven, WrongTag):
        return True
    return False


# Checks


def records_can_not_be_changed_or_played_again() -> None:
    """One bit of a record, a record that was there before, and one of the other direction all end the connection."""
    dialler, acceptor = _proven()
    record = dialler.seal(b"open")
    changed = record[:-1] + bytes([record[-1] ^ 1])
    assert _refuses(lambda: acceptor.receive_data(changed)), "a changed record was taken"
    dialler, acceptor = _proven()
    record = dialler.seal(b"open")
    acceptor.receive_data(record)
    assert _refuses(lambda: acceptor.receive_data(record)), "a record was taken a second time"
    dialler, _ = _proven()
    assert _refuses(lambda: dialler.receive_data(dialler.seal(b"open"))), "a record was taken from ourselves"


def what_was_overheard_proves_nothing() -> None:
    """An exchange that is played back, and a proof that is thrown back, convince nobody."""
    dialler, acceptor = _pair()
    hello = dialler.data_to_send()
    acceptor.receive_data(hello)
    dialler.receive_data(acceptor.data_to_send())
    proof = dialler.data_to_send()
    _, again = _pair(seed=2)
    again.receive_data(hello)
    assert _refuses(lambda: again.receive_data(proof)), "a replayed proof was believed"
    dialler, acceptor = _pair()
    acceptor.receive_data(dialler.data_to_send())
    its_own = b"AGTK\x01\x03\x00\x20" + acceptor.data_to_send()[-32:]
    assert _refuses(lambda: acceptor.receive_data(its_own)), "a proof that was thrown back was believed"


def another_secret_proves_nothing() -> None:
    """Who has another secret under the same id is found out."""
    dialler, _ = _pair()
    impostor = AcceptingLayer(KeyRing(PreSharedKey("k1", bytes(32))).get, "gateway", rng=Random(1))
    impostor.receive_data(dialler.data_to_send())
    challenge = impostor.data_to_send()
    assert _refuses(lambda: dialler.receive_data(challenge)), "a listener without the key was believed"


def nobody_is_taken_without_a_key_or_under_another_name() -> None:
    """A plain hello is refused where keys are asked for, and a proven caller can't say hello as somebody else."""
    native = NativeLink("somebody else", rng=Random(1))
    native.connection_made(now=0.0)
    hello = native.data_to_send(now=0.0)
    rng = Random(1)
    acceptor = KeyedAcceptor(NativeAcceptor("gateway", rng=rng), KeyRing(KEY), "gateway", rng=rng)
    for keyed, what in ((False, "a caller without a key"), (True, "a caller under another name")):
        greeting, dialler = acceptor.greeting(now=0.0), DiallingLayer(KEY, "device", rng=rng)
        taken = False
        try:
            if keyed:
                greeting.receive_data(dialler.data_to_send())
                dialler.receive_data(greeting.data_to_send())
                greeting.receive_data(dialler.data_to_send())
                taken = greeting.receive_data(dialler.seal(hello)) is not None
            else:
                taken = greeting.receive_data(hello) is not None
        except Refused:
            pass
        assert not taken, f"{what} was taken"


def a_flood_takes_its_own_places() -> None:
    """However many connections one address has on their way in, another address finds a place."""
    limits = AdmissionLimits(half_open_max=4 * PLACES, half_open_per_address_max=PLACES)
    budget, gone = HalfOpenBudget(limits), list[str]()
    budget.enter("honest", lambda: gone.append("honest"), now=0.0)
    for number in range(10 * PLACES):
        budget.enter("flood", lambda: gone.append("flood"), now=float(number))
    held = budget.held_by("flood")
    assert held == PLACES, f"a flood holds {held} places where {PLACES} are its own"
    assert "honest" not in gone, "an honest caller had to give way"


# Bugs


def tags_not_compared(patch: Patch) -> None:
    """A record's tag is computed and not looked at."""
    patch.setattr(_records, "hmac", SimpleNamespace(compare_digest=lambda _one, _other: True))


def records_not_counted(patch: Patch) -> None:
    """A tag covers a record's length and bytes, and not its number."""
    length = struct.Struct("!I")
    patch.setattr(_records, "_COUNTED", SimpleNamespace(pack=lambda _number, size: length.pack(size)))


def one_key_for_both_ways(patch: Patch) -> None:
    """Both directions are tagged with the same key."""
    make = Secrets.__init__

    def buggy(self: Secrets, key: PreSharedKey, hello: bytes, challenge: bytes) -> None:
        make(self, key, hello, challenge)
        self.to_dialling = self.to_accepting

    patch.setattr(Secrets, "__init__", buggy)


def old_nonce(patch: Patch) -> None:
    """The accepting side says the same nonce each time."""
    make = AcceptingLayer.__init__

    def buggy(self: AcceptingLayer, find: Callable[[str], PreSharedKey | None], name: str, *, rng: Random) -> None:
        make(self, find, name, rng=Random(rng.__class__.__name__))

    patch.setattr(AcceptingLayer, "__init__", buggy)


def proofs_alike(patch: Patch) -> None:
    """The proofs of the two sides don't say whose they are."""
    make = Secrets.__init__

    def buggy(self: Secrets, key: PreSharedKey, hello: bytes, challenge: bytes) -> None:
        make(self, key, hello, challenge)
        self.dialling_proof = self.accepting_proof

    patch.setattr(Secrets, "__init__", buggy)


def proof_by_its_length(patch: Patch) -> None:
    """A proof of the right length is a proof."""
    patch.setattr(_key_layer, "same", lambda proof, expected: len(proof) == len(expected))


def names_not_held(patch: Patch) -> None:
    """Whoever has proven to be somebody may say hello as anybody."""
    patch.setattr(KeyedGreeting, "_hold_to_its_name", lambda _self, _hello: None)


def downgrade_allowed(patch: Patch) -> None:
    """A caller that speaks natively at once is believed."""
    take = KeyedGreeting.receive_data

    def buggy(self: KeyedGreeting, data: bytes) -> object:
        plain = not data.startswith(_challenge.MAGIC) and not self.layer.established
        return Greeting.receive_data(self, data) if plain and len(data) > 40 else take(self, data)

    patch.setattr(KeyedGreeting, "receive_data", buggy)


def room_without_end(patch: Patch) -> None:
    """Room is made for one more without anybody's giving way."""
    patch.setattr(HalfOpenBudget, "_give_up_oldest", lambda _self, _address, _now, **_: True)


RECORDS, OVERHEARD = story(records_can_not_be_changed_or_played_again), story(what_was_overheard_proves_nothing)
SECRET, ADMITTED = story(another_secret_proves_nothing), story(nobody_is_taken_without_a_key_or_under_another_name)
PLACES_OF_ITS_OWN = story(a_flood_takes_its_own_places)

MUTANTS = (
    Mutant(tags_not_compared, 8, RECORDS, "a changed record was taken"),
    Mutant(records_not_counted, 8, RECORDS, "a second time"),
    Mutant(one_key_for_both_ways, 8, RECORDS, "from ourselves"),
    Mutant(old_nonce, 8, OVERHEARD, "a replayed proof was believed"),
    Mutant(proofs_alike, 8, OVERHEARD, "thrown back was believed"),
    Mutant(proof_by_its_length, 8, SECRET, "without the key was believed"),
    Mutant(names_not_held, 8, ADMITTED, "under another name was taken"),
    Mutant(downgrade_allowed, 8, ADMITTED, "without a key was taken"),
    Mutant(room_without_end, 8, PLACES_OF_ITS_OWN, "a flood holds 40 places"),
)
