"""The causes that come with the package, by name."""

from pathlib import Path
from typing import Final

import msgspec

from agt.chaos.rehearsal._conditions import Cause, Causes

FILE: Final = Path(__file__).with_name("causes.toml")


def load_causes() -> dict[str, Cause]:
    """Return every cause by its name, in the file's order."""
    causes = msgspec.toml.decode(FILE.read_bytes(), type=Causes).cause
    return {cause.name: cause for cause in causes}
