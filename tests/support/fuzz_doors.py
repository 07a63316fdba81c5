"""Fuzz targets at the doors: HTTP addresses and configurations, rules of the shadow, heads of the audit.

Each either reads, or says in its own error what is wrong; whatever reads back, reads back the same.
"""

import contextlib

from agt.router.http import HttpConfigInvalid, parse_http_config
from agt.router.http._address import Address
from agt.router.shadow import RulesInvalid, parse_shadow_rules
from agt.supervisor.records import AuditHead
from support.fuzz_support import Target
from support.fuzz_texts import TOML, as_text


def http_config(data: bytes) -> None:
    """A configuration is taken whole, or refused with at least one problem that has words."""
    refused: HttpConfigInvalid | None = None
    try:
        config = parse_http_config(data)
    except HttpConfigInvalid as error:
        refused = error
    if refused is not None:
        assert refused.problems
        assert all(str(problem) for problem in refused.problems)
    else:
        assert {config.runtimes.control, config.runtimes.candidate} == set(config.upstreams)


def http_address(data: bytes) -> None:
    """An address has a path, or a host and a port that exist."""
    with contextlib.suppress(ValueError):
        address = Address.parse(as_text(data))
        assert address.path or (address.host and 0 <= address.port <= 65_535)


def shadow_rules(data: bytes) -> None:
    """Rules are read or refused with problems."""
    with contextlib.suppress(RulesInvalid):
        rules = parse_shadow_rules(as_text(data))
        assert rules.equal("a", 1, 1)


def audit_head(data: bytes) -> None:
    """What is read is written the same."""
    with contextlib.suppress(ValueError):
        head = AuditHead.parse(as_text(data))
        assert AuditHead.parse(str(head)) == head


TARGETS = (
    Target("http_config", http_config, (*TOML, b"[upstreams.v1]", b"url", b"[[retired]]", b"http://", b"unix:")),
    Target("http_address", http_address, (b"http://", b"unix:", b"[::1]:", b":65535", "٣".encode())),
    Target("shadow_rules", shadow_rules, (*TOML, b"[[ignore]]", b"owner", b"expires", b"2026-12-31T00:00:00Z")),
    Target("audit_head", audit_head, (b"1:", b"0" * 64, "٣".encode())),
)
