"""What the control API says of single components, and how one is asked: bodies as structs."""

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from agt.supervisor.view import ProcessState, ProcessView

TEXT_MAX: Final = 500

Verb = Literal["stop", "start", "restart", "decommission", "archive", "revive"]
VERBS: Final[tuple[Verb, ...]] = get_args(Verb)


class ComponentOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of one component."""

    by: str = ""
    """Who asks, as claimed."""
    reason: Annotated[str, Meta(max_length=TEXT_MAX)] = ""
    """Why; needed to decommission."""
    force: bool = False
    """Stop it although others wait for it."""


class ComponentReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    name: str
    verb: Verb
    state: ProcessState
    """Its state when this was answered."""
    says: str
    kept_until: float | None = None
    """For `archive`: until when it can be revived, seconds since the epoch."""


class ComponentList(msgspec.Struct, frozen=True, kw_only=True):
    """All components, in start order."""

    components: tuple[ProcessView, ...]


class WhyLink(msgspec.Struct, frozen=True, kw_only=True):
    """One component in a chain of reasons."""

    name: str
    state: ProcessState
    says: str
    """`waits for gateway`, `held down for 172 s more after 5 failures: exited with status 3`."""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a component is as it is: the component first, then what it waits for, down to what is the matter."""

    name: str
    state: ProcessState
    chain: tuple[WhyLink, ...]
    output_of: str = ""
    """Whose output follows: the last of the chain, where something is the matter with it."""
    output: tuple[str, ...] = ()
    """Its last lines, oldest first."""
