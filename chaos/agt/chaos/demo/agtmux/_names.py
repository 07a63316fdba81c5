"""Sessions by name, and the sockets of document 001's processes in the run directory."""

from pathlib import Path
from typing import Final

LETTERS: Final = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
)  # fmt: skip
"""The first sessions, which live as long as the run: a plan may name them."""


def session_name(number: int) -> str:
    """Name the session that comes after so many others."""
    return f"session-{LETTERS[number] if number < len(LETTERS) else number + 1}"


def mux_socket(run: Path) -> Path:
    """Where the terminals are asked."""
    return run / "mux.sock"


def daemon_socket(run: Path, runtime: str) -> Path:
    """Where a daemon lists panes and sessions."""
    return run / f"{runtime}.sock"
