"""Paths of requests, as a configuration writes them.

`/devices/{key}/state` takes one segment by name, `/api/v1/*` one segment whatever it is, and `/api/v1/**` everything
from there on, under the name `rest`. A pattern covers the path as the client meant it (percent-decoded, without the
query).
"""

import re
from typing import Final

PATTERN_MAX: Final = 200
"""Longest pattern, in characters."""
_NAME: Final = re.compile(r"\{([a-z_]+)\}")


class PathPattern:
    """One pattern, ready to match."""

    __slots__ = ("_match", "text")

    def __init__(self, text: str) -> None:
        """Compile a pattern.

        Raises:
            ValueError: saying what is wrong with it.
        """
        says = pattern_problem(text)
        if says:
            raise ValueError(says)
        self.text = text
        self._match = re.compile(_expression(text)).fullmatch

    def match(self, path: str) -> dict[str, str] | None:
        """Return the named segments; None when the path isn't covered."""
        found = self._match(path)
        return None if found is None else found.groupdict(default="")


def pattern_problem(text: str) -> str:
    """Return what is wrong with a pattern; empty when nothing is."""
    if not text.startswith("/"):
        return f"{text!r} must start with a slash"
    if len(text) > PATTERN_MAX:
        return f"is longer than {PATTERN_MAX} characters"
    if "**" in text.removesuffix("/**"):
        return f"{text!r} has ** elsewhere than as its last segment"
    names = [*_NAME.findall(text), *(["rest"] if text.endswith("/**") else [])]
    if len(names) != len(set(names)):
        return f"{text!r} uses a name twice"
    if re.search(r"[{}]", _NAME.sub("", text)):
        return f"{text!r} has a brace that names nothing; write {{key}}"
    return ""


def _expression(text: str) -> str:
    rest = text.endswith("/**")
    parts = re.split(r"(\{[a-z_]+\}|\*)", text.removesuffix("/**"))
    return "".join(map(_part, parts)) + (r"(?:/(?P<rest>(?s:.*)))?" if rest else "")


def _part(part: str) -> str:
    if part == "*":
        return "[^/]*"
    if part.startswith("{"):
        return f"(?P<{part[1:-1]}>[^/]+)"
    return re.escape(part)
