"""What every test may use: a way to leave figures for the soak's summary, and how hypothesis chooses its examples.

The same examples each time, so that a run fails because of what was changed and not by luck;
`AGT_HYPOTHESIS=search make test` looks for new ones, and twice as many.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, max_examples=50)
settings.register_profile("search")
settings.load_profile(os.environ.get("AGT_HYPOTHESIS", "steady"))


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
