"""What an operator can ask of a running supervisor, and how it refuses.

Going forward (`advance`, `resume`, `set` upwards, `component` on, `override` to the candidate or ended, `mode`,
`kill-switch off`) names the view's version that it was based on and is refused when that is stale. Going back
(`rollback`, `hold`, `freeze`, `set` downwards, `component` off, `override` to control, `kill-switch on`) needs neither
version nor key: it always works. `rehearse-back` tries the way back out with a probe and leaves nothing changed.
"""

from typing import Literal

import msgspec

ActionName = Literal[
    "advance",
    "hold",
    "resume",
    "rollback",
    "kill-switch-on",
    "kill-switch-off",
    "set",
    "component",
    "override",
    "mode",
    "sign-off",
    "record-cause",
    "drill",
    "rehearse-back",
    "freeze",
    "unfreeze",
    "down",
]


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request of an operator, as the control API takes it."""

    action: ActionName
    by: str = ""
    """Who asks, as claimed; recorded, never trusted."""
    reason: str = ""
    version: int | None = None
    """The view's version that the request was based on; needed to go forward."""
    key: str = ""
    """Idempotency key: the same key twice answers the first receipt again."""
    percentage: float | None = None
    """For `set`: 0 to 100 in steps of 0.01."""
    devices: int | None = None
    """For `set`, instead of a percentage: exactly so many of the devices that the routers know now."""
    to: str = ""
    """For `rollback`: a phase's name, or empty for control."""
    component: str = ""
    """For `rollback`: take this component back, and nothing else."""
    cohort: tuple[str, ...] = ()
    """For `rollback`: take these members of the cohort back, and nothing else; `all` is the whole cohort."""
    name: str = ""
    """For `sign-off` the gate, for `drill` the drill, for `component` the component, for `mode` the network mode that
    is to count (`datacenter`, `hybrid`, `internet`), or `auto` for the measured one."""
    on: bool | None = None
    """For `component`: whether the candidate may carry it."""
    device: str = ""
    """For `override`: whom; for `rehearse-back` the probe, or a pattern; the plan's when empty."""
    side: Literal["", "control", "candidate"] = ""
    """For `override`: where to; empty ends it."""
    expires_at: float | None = None
    """For `override`, `mode` and `freeze`: when it ends by itself, seconds since the epoch; None for never."""


def is_step(percentage: float) -> bool:
    """Tell whether a percentage is one of the steps of 0.01 in which devices move; a finer one is never rounded."""
    return abs(percentage * 100 - round(percentage * 100)) <= 1e-6


RefusalCode = Literal["stale", "refused", "unknown", "invalid", "unavailable"]


class Refused(Exception):
    """Raised when an action can't be done; nothing was changed."""

    def __init__(self, code: RefusalCode, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.code: RefusalCode = code
        self.message, self.hint = message, hint
