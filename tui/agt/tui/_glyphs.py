"""Every special character of the screen, twice: for UTF-8 terminals and for those that only know ASCII."""

import locale
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Glyphs:
    """One character each, unless said otherwise."""

    ascii_only: bool
    done: str
    active: str
    pending: str
    rolled_back: str
    failed: str
    unsure: str
    error: str
    bullet: str
    hollow: str
    full: str
    """A bar's filled cell."""
    empty: str
    """A bar's empty cell."""
    ramp: str
    """Heights of a chart's cell, lowest first."""
    arrow: str
    ellipsis: str
    dash: str
    """What stands where nothing can be said."""


UNICODE: Final = Glyphs(
    ascii_only=False,
    done="✓",
    active="▸",
    pending="·",
    rolled_back="↺",
    failed="✗",
    unsure="?",
    error="!",
    bullet="●",
    hollow="○",
    full="█",
    empty="░",
    ramp="▁▂▃▄▅▆▇█",
    arrow="→",
    ellipsis="…",
    dash="–",  # noqa: RUF001 - an en dash on purpose: it stands for "nothing measured".
)

ASCII: Final = Glyphs(
    ascii_only=True,
    done="v",
    active=">",
    pending=".",
    rolled_back="<",
    failed="x",
    unsure="?",
    error="!",
    bullet="*",
    hollow="o",
    full="#",
    empty=".",
    ramp="_.-=+*%#",
    arrow=">",
    ellipsis="~",
    dash="-",
)


def terminal_glyphs(*, ascii_only: bool = False) -> Glyphs:
    """Return what the terminal can show, going by the locale."""
    codeset = locale.nl_langinfo(locale.CODESET)
    return UNICODE if not ascii_only and codeset.upper().replace("-", "") == "UTF8" else ASCII
