"""Which target attacks which parser, and why some functions that are named like one need none.

A parser is what takes bytes or text and is named so (`parse_`, `read_`, `decode_`, `load_`, `feed`, `receive_data`);
a test finds them all and compares.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SOURCE_ROOTS = ("transport", "router", "supervisor", "tui", "chaos")
NAMED = re.compile(r"(parse|decode|feed|receive_data|read|split|load)(_|$)")
TAKES = re.compile(r"\b(bytes|str)\b")

ATTACKED = {
    "transport._config:load_config": "config_toml",
    "transport._toml:read_tables": "config_toml",
    "transport.durable._inbox_record:decode_record": "sender_record",
    "transport.trust._challenge:decode_body": "key_exchange",
    "transport.trust._key_layer:KeyLayer.receive_data": "key_exchange",
    "transport.trust._keyed_acceptor:KeyedGreeting.receive_data": "key_greeting",
    "transport.trust._keys:read_keys": "key_file",
    "transport.trust._records:RecordReader.receive_data": "key_records",
    "transport.trust._tls_layer:TLSLayer.receive_data": "tls_layer",
    "transport.wires.cync._link:CyncLink.receive_data": "cync_link",
    "transport.wires.cync._packets:PacketParser.feed": "cync_packets",
    "transport.wires.lines._link:LinesLink.receive_data": "lines_link",
    "transport.wires.lines._text:read_greeting": "lines_text",
    "transport.wires.lines._text:LineReader.feed": "lines_text",
    "transport.wires.native._acceptor:Greeting.receive_data": "native_greeting",
    "transport.wires.native._frames:decode_batch": "native_bodies",
    "transport.wires.native._frames:FrameParser.feed": "native_frames",
    "transport.wires.native._handshake:decode_body": "native_bodies",
    "transport.wires.native._link:NativeLink.receive_data": "native_link",
    "transport.wires.native._statement:decode_ack": "native_bodies",
    "transport.wires.native._statement:decode_skip": "native_bodies",
    "router._environment:parse_env_file": "env_file",
    "router._selector_text:parse_selector": "selector_toml",
    "router.http._address:Address.parse": "http_address",
    "router.http._config_file:load_http_config": "http_config",
    "router.http._config_file:parse_http_config": "http_config",
    "router.shadow._rules:parse_shadow_rules": "shadow_rules",
    "router.parity._document_end:DocumentEnd.feed": "document_end",
    "router.parity._file:parse_parity": "parity_toml",
    "router.parity._json:parse_json": "listing",
    "router.parity._json:parse_json_lines": "listing",
    "router.parity._listing:decode_listing": "listing",
    "router.parity._spec:parse_source": "source_specs",
    "router.regression._expression:parse_expression": "expressions",
    "router.regression._suite_file:parse_suite": "suite_toml",
    "supervisor._changes:decode_view": "stream_of_views",
    "supervisor.components._readiness:parse_notification": "notifications",
    "supervisor.measure._exposition:parse_exposition": "exposition",
    "supervisor.measure._sample:read_sample": "exposition",
    "supervisor.access._addresses:parse_address": "web_address",
    "supervisor.measure._prometheus_answer:read_vector": "prometheus_answer",
    "supervisor.measure._tcp_http:split_address": "web_address",
    "supervisor.measure._unix_http:parse_response": "http_response",
    "supervisor.resources._proc:parse_usage": "proc_stat",
    "supervisor.records._audit:AuditHead.parse": "audit_head",
    "supervisor.rollout._durations:parse_duration": "durations",
    "supervisor.rollout._durations:parse_checks": "durations",
    "supervisor.rollout._plan:parse_plan": "plan_toml",
    "chaos.checkers._records:decode_records": "records",
    "chaos.demo._fault_spec:parse_faults": "fault_specs",
    "chaos.demo._lines_device:parse_command": "device_command",
    "chaos.proxy._framing:LengthSplitter.feed": "proxy_splitters",
    "chaos.proxy._framing:LineSplitter.feed": "proxy_splitters",
    "chaos.replay._capture:read_capture": "capture_file",
    "chaos.scenario._spec:parse_scenario": "scenario_toml",
}
"""Parser to target."""

WRAPS = "passes bytes on to a link that is a target"
SHAPE = "only the shape of what has one"
SPARED = {
    "transport._carrying:Speaks.receive_data": SHAPE,
    "transport._link:Link.receive_data": SHAPE,
    "transport.blocking._conduit:Layer.receive_data": SHAPE,
    "chaos.proxy._framing:Splitter.feed": SHAPE,
    "transport._own_ids_link:OwnIdsLink.receive_data": WRAPS,
    "transport.durable._outbox_link:OutboxLink.receive_data": WRAPS,
    "transport.durable._remembering_link:RememberingLink.receive_data": WRAPS,
    "transport.trust._keyed_link:KeyedLink.receive_data": WRAPS,
    "transport.trust._secured_link:SecuredLink.receive_data": WRAPS,
    "transport.testing:PlainLink.receive_data": "a double for tests",
    "transport.durable._sqlite_inbox:SQLiteInbox.read": "runs the application's own query",
    "transport.wires.native._statement:RefusalCode.parse": "takes the application's own word",
    "supervisor.measure._readings:Readings.read": "looks a metric up",
    "supervisor.components.archive:read_archive": "reads what we wrote ourselves, and checks its sums",
    "supervisor.control._requests:read_number": "takes one word of a query",
    "supervisor.control._requests:read_flag": "takes one word of a query",
    "supervisor.measure._shadow:read_shadow": "looks a metric up",
    "chaos.sim.moves._book:read_journal": "takes what our own router wrote",
    "chaos.sim.moves._wires:split_legacy": "takes what our own link wrote",
    "chaos.proxy._lane:Lane.split": "one call of a splitter",
    "chaos.sim._world:split_frames": "takes what our own link wrote",
}
"""What needs no target, and why."""


def parsers() -> Iterator[str]:
    """Yield every parser of the source as `module:name`, without the leading `agt.`."""
    for root in SOURCE_ROOTS:
        base = ROOT / root / "agt"
        for path in sorted(base.rglob("*.py")):
            module = ".".join(path.relative_to(base).with_suffix("").parts)
            yield from (f"{module}:{name}" for name in _parsers_in(ast.parse(path.read_text(encoding="utf-8")), ""))


def _parsers_in(node: ast.AST, within: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _parsers_in(child, f"{within}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and NAMED.match(child.name):
            annotations = [argument.annotation for argument in (*child.args.args, *child.args.kwonlyargs)]
            if any(TAKES.search(ast.unparse(annotation)) for annotation in annotations if annotation is not None):
                yield f"{within}{child.name}"
