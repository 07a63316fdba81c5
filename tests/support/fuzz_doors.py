"""Fuzz targets at the doors: HTTP addresses and configurations, rules of the shadow, heads of the audit.

Each either reads, or says in its own error what is wrong; whatever reads back, reads back the same.
"""

import contextlib

from agt.router.http import HttpConfigInvalid, parse_http_config
from agt.router.http._address import Address
from agt.router.shadow import RulesInvalid, parse_shadow_rules
from agt.supervisor.access._addresses import AddressInvalid, parse_address
from agt.supervisor.measure._prometheus_answer import AnswerUnusable, read_vector
from agt.supervisor.measure._tcp_http import split_address
from agt.supervisor.records import AuditHead
from agt.supervisor.resources._proc import parse_usage
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


def web_address(data: bytes) -> None:
    """Addresses of our own listener and of a server: loopback only, and a host without password."""
    text = as_text(data)
    with contextlib.suppress(AddressInvalid):
        host, port = parse_address(text)
        assert host
        assert 0 <= port <= 65_535
    with contextlib.suppress(ValueError):
        assert split_address(text).username is None


def prometheus_answer(data: bytes) -> None:
    """A vector is read or refused; a sample has a finite time and a name."""
    with contextlib.suppress(AnswerUnusable):
        read_vector(data)


def proc_stat(data: bytes) -> None:
    """A line of /proc is read or refused."""
    with contextlib.suppress(ValueError):
        parse_usage(as_text(data), None)


TARGETS = (
    Target("web_address", web_address, (b"127.0.0.1:", b"[::1]:", b"http://", b"@", b"?", "٣".encode())),
    Target(
        "prometheus_answer", prometheus_answer, (b'{"status":"success"', b'"data":', b'"vector"', b"NaN", b"[" * 2000)
    ),
    Target("proc_stat", proc_stat, (b"1 (a b) S ", b")", b" 1" * 50, b"-1", b"9" * 400)),
    Target("http_config", http_config, (*TOML, b"[upstreams.v1]", b"url", b"[[retired]]", b"http://", b"unix:")),
    Target("http_address", http_address, (b"http://", b"unix:", b"[::1]:", b":65535", "٣".encode())),
    Target("shadow_rules", shadow_rules, (*TOML, b"[[ignore]]", b"owner", b"expires", b"2026-12-31T00:00:00Z")),
    Target("audit_head", audit_head, (b"1:", b"0" * 64, "٣".encode())),
)
