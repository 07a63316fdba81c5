"""What every test may use: a way to leave figures for the soak's summary."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def figure() -> Callable[[str, float], None]:
    """Return a function that adds to one of the soak's figures, `kills` say; does nothing in other runs."""

    def add(name: str, value: float) -> None:
        path = os.environ.get("AGT_SOAK_FIGURES")
        if path:
            line = json.dumps({name: value}) + "\n"
            with Path(path).open("a", encoding="utf-8") as lines:
                lines.write(line)  # One short write at the end of a file: workers don't tear each other's lines.

    return add
