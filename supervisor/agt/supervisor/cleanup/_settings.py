"""Finds migration keys in configuration of any form, by its lines. Pure.

TOML, YAML, JSON, INI, environment files and Dockerfiles all write a key before `=` or `:`, and Kubernetes writes
`name: KEY`; comments are left alone. A parser for each would know more and say no more: somebody edits the line.
"""

import re
from typing import Final

from agt.supervisor.cleanup._find import Find

CONFIGURATION_KEYS: Final = {
    "canary_percentage": "the share is the router's; without one there is none",
    "canary_pct": "as canary_percentage",
    "dark_launch_enabled": "nothing is mirrored any more",
    "dark_launch": "nothing is mirrored any more",
    "legacy_transport_enabled": "there is no legacy transport any more",
    "CANARY_PERCENTAGE": "the variable caps a share that is gone",
    "CANARY_COHORT": "the variable names a cohort that is gone",
    "DARK_LAUNCH": "the variable mirrors to a path that is gone",
    "DARK_LAUNCH_ENABLED": "the variable mirrors to a path that is gone",
    "LEGACY_TRANSPORT_ENABLED": "the variable enables a path that is gone",
    "TESTOPS_V3_ENABLE": "document 000's share; the candidate is all there is",
    "V2_ENABLED": "document 003's switch; the candidate is all there is",
    "v5_enabled": "document 001's selector; the candidate is all there is",
    "v5_canary_sessions": "document 001's cohort; the candidate is all there is",
    "force_v1_mode": "document 002's kill switch; there is nothing to go back to",
}
"""Keys and variables of the five documents that mean something only while two runtimes run, and why they can go."""
DEPENDENCIES: Final = {"pytest-chaos": "document 004: goes once the chaos tests are validated"}

_KEY = "|".join(map(re.escape, sorted(CONFIGURATION_KEYS, key=len, reverse=True)))
_ASSIGNED: Final = re.compile(rf"""(?:^|[\s"'{{,\[(])({_KEY})["']?\s*(?:[:=]|$)""")
_NAMED: Final = re.compile(rf"""\bname["']?\s*[:=]\s*["']?({_KEY})\b""")
_ENV: Final = re.compile(rf"""^\s*(?:ENV|ARG)\s+({_KEY})\s""")
_COMMENT: Final = re.compile(r"^\s*(?:#|;|//)")
_AFTER: Final = re.compile(r"\s#\s.*$")
_DEPENDENCY: Final = re.compile(rf"""["']?({"|".join(map(re.escape, DEPENDENCIES))})(?:["'\[<>=~! ]|$)""")


def find_in_settings(file: str, text: str) -> list[Find]:
    """Return the migration keys and dependencies of a text, by line; comments don't count."""
    found = []
    for number, raw in enumerate(text.splitlines(), 1):
        if _COMMENT.match(raw):
            continue
        line = _AFTER.sub("", raw)
        names = {match[1] for pattern in (_ASSIGNED, _NAMED, _ENV) for match in pattern.finditer(line)}
        found += [
            Find(file=file, line=number, kind="configuration", what=name, says=CONFIGURATION_KEYS[name])
            for name in sorted(names)
        ]
        found += [
            Find(file=file, line=number, kind="dependency", what=match[1], says=DEPENDENCIES[match[1]])
            for match in _DEPENDENCY.finditer(line)
        ]
    return found
