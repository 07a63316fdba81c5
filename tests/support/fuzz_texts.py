"""Fuzz targets for what people and programs write: configuration, plans, faults, captures, metrics, records, answers.

Each either reads, or says in its own error what is wrong; whatever reads back, reads back the same.
"""

import contextlib
import math
from pathlib import Path

import msgspec
from starlette.requests import Request

from agt.chaos.checkers._records import decode_records
from agt.chaos.demo._fault_spec import WrongFault, parse_faults
from agt.chaos.demo._lines_device import parse_command
from agt.chaos.replay._capture import CaptureRefused, read_capture
from agt.chaos.scenario import ScenarioInvalid
from agt.chaos.scenario._spec import parse_scenario
from agt.router import Selector, SelectorInvalid
from agt.router._environment import overlay, parse_env_file
from agt.router._selector_text import format_selector, parse_selector
from agt.supervisor._changes import decode_view, merge_change
from agt.supervisor.actions import Refused
from agt.supervisor.components._readiness import parse_notification
from agt.supervisor.control._requests import check_complete, read_action
from agt.supervisor.measure._exposition import MAX_SAMPLES, ExpositionError, parse_exposition
from agt.supervisor.measure._sample import read_sample
from agt.supervisor.measure._unix_http import RequestFailed, parse_response
from agt.supervisor.rollout import PlanInvalid, parse_duration, parse_plan
from agt.supervisor.rollout._durations import format_duration, parse_checks
from agt.supervisor.view import View
from agt.transport import ConfigInvalid, load_config
from support.fuzz_support import Target


def as_text(data: bytes) -> str:
    """What a file or an argument of these bytes reads as."""
    return data.decode("utf-8", "replace")


def capture_file(data: bytes) -> None:
    """A capture is read or refused; its packets and its nonsense are no more than it holds."""
    with contextlib.suppress(CaptureRefused):
        capture = read_capture(data)
        assert capture.packets
        assert sum(len(captured.packet.data) for captured in capture.packets) * 2 <= len(data)
        assert sum(capture.by_type().values()) == len(capture.packets)
        assert all(str(item) for item in capture.nonsense)


def selector_toml(data: bytes) -> None:
    """A selector that can be read means the same when it is written and read again."""
    with contextlib.suppress(SelectorInvalid):
        selector = parse_selector(data)
        assert parse_selector(format_selector(selector)) == selector


def env_file(data: bytes) -> None:
    """Variables out of a file can be laid over a selector, and only make it more careful."""
    with contextlib.suppress(ValueError):
        variables = parse_env_file(as_text(data))
        selector = parse_selector(SELECTOR)
        overlaid = overlay(selector, variables)
        assert isinstance(overlaid.selector, Selector)
        assert (overlaid.selector.runtime.percentage or 0) <= (selector.runtime.percentage or 0)


SELECTOR = """
runtimes = { control = "v4", candidate = "v5" }
runtime = { v5_enabled = true, percentage = 50.0 }
environment = { CANARY_PERCENTAGE = "percentage", V2_ENABLED = "kill_switch_when_false", PART = "fraction" }
"""


def plan_toml(data: bytes) -> None:
    """A plan that can be read can be squeezed and shown."""
    with contextlib.suppress(PlanInvalid):
        plan = parse_plan(as_text(data))
        assert plan.phases
        assert plan.total_soak_s >= 0


def durations(data: bytes) -> None:
    """A duration is a finite number of seconds, or none; so is a count of checks."""
    text = as_text(data)
    with contextlib.suppress(ValueError):
        seconds = parse_duration(text)
        assert math.isfinite(seconds)
        assert seconds >= 0
        assert format_duration(seconds)
    with contextlib.suppress(ValueError):
        assert parse_checks(text, check_interval_s=60.0) >= 1


def fault_specs(data: bytes) -> None:
    """A fault on the command line is understood, or every problem of it is named."""
    with contextlib.suppress(WrongFault):
        (spec,) = parse_faults([as_text(data)])
        assert spec.phase
        assert math.isfinite(spec.amount)


def scenario_toml(data: bytes) -> None:
    """A scenario is read, or refused in one line."""
    with contextlib.suppress(ScenarioInvalid):
        parse_scenario(as_text(data), "scenario")


def config_toml(data: bytes) -> None:
    """A configuration is read, or every problem of it is named."""
    with contextlib.suppress(ConfigInvalid):
        load_config(as_text(data))


def exposition(data: bytes) -> None:
    """A page of metrics is read to samples with names, or refused with a line number."""
    with contextlib.suppress(ExpositionError):
        samples = list(parse_exposition(as_text(data)))
        assert len(samples) <= MAX_SAMPLES
        assert all(sample.name for sample in samples)
        read_sample(samples, router="router-1", at=0.0)


def http_response(data: bytes) -> None:
    """An answer is HTTP, whole and bounded, or it is no answer."""
    with contextlib.suppress(RequestFailed):
        response = parse_response(Path("router.sock"), data)
        assert len(response.body) <= len(data)


def notifications(data: bytes) -> None:
    """Any datagram reads as variables, if only as none."""
    assert all(isinstance(value, str) for value in parse_notification(data).values())


def records(data: bytes) -> None:
    """A log is read, but for its last line; a broken line before that is named."""
    lines = data.splitlines(keepends=True)
    with contextlib.suppress(ValueError):
        whole = sum(1 for _ in decode_records(lines))
        torn = [*lines, b'{"e":"sent","device":"\xc3']
        assert sum(1 for _ in decode_records(torn)) == whole or whole < len(lines)


def device_command(data: bytes) -> None:
    """A simulated device obeys or passes over what it gets."""
    parse_command(data)


VIEW = View(version=1, at=0.0, plan="p", status="running")


def stream_of_views(data: bytes) -> None:
    """A snapshot or a change that isn't one is refused as such."""
    with contextlib.suppress(msgspec.DecodeError):
        assert decode_view(as_text(data)).version >= 0
    with contextlib.suppress(msgspec.DecodeError):
        merge_change(VIEW, as_text(data))


def control_request(data: bytes) -> None:
    """The body of a request is an action, or is refused with the field that is wrong."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": data, "more_body": False}

    reading = read_action(Request({"type": "http", "method": "POST", "headers": []}, receive))
    with contextlib.suppress(Refused):
        try:
            reading.send(None)
        except StopIteration as done:
            check_complete(done.value)
        else:
            raise AssertionError("nothing to wait for")


TOML = (b"[", b"]", b"[[", b"]]", b" = ", b'"', b"\n", b"{ ", b" }", b"true", b"0.5", b"nan", b"inf", b"1e400", b"'''")

TARGETS = (
    Target("capture_file", capture_file, ("DEV→CLOUD (31 bytes)\n".encode(), b" [INJECTED]", b"\n\n", b"16 03 01")),
    Target("selector_toml", selector_toml, (*TOML, b"[runtimes]", b"[[overrides]]", b"percentage", b"v5_enabled")),
    Target("env_file", env_file, (b"export ", b"CANARY_PERCENTAGE=", b"V2_ENABLED=", b"PART=", b"'", b"nan", b"1e9")),
    Target("plan_toml", plan_toml, (*TOML, b"[[phase]]", b"[[phase.gate]]", b"[[rule]]", b"3 checks", b"3d", b"all")),
    Target("durations", durations, (b"d", b"h ", b"ms", b" checks", b"9" * 400, "٣".encode(), b"1e9")),
    Target("fault_specs", fault_specs, (b"latency:", b"candidate:", b"@canary-25", b"drop:all:", b"lose:", b"nan")),
    Target("scenario_toml", scenario_toml, (*TOML, b"[[fault]]", b"kind", b"says")),
    Target("config_toml", config_toml, (*TOML, b"[reliable_transport]", b"max_retries", b"none")),
    Target("exposition", exposition, (b'{le="', b'"} ', b"# TYPE ", b"NaN", b"+Inf", b"\\n", b"_bucket", b"_total")),
    Target("http_response", http_response, (b"HTTP/1.1 200 OK\r\n", b"content-length: ", b"\r\n\r\n", b"chunked")),
    Target("notifications", notifications, (b"READY=1", b"\n", b"=", b"WATCHDOG=1")),
    Target("records", records, (b'{"e":"sent",', b'"t":', b'"device":', b'"number":', b"}\n")),
    Target("device_command", device_command, (b"set ", b"9" * 5000)),
    Target("stream_of_views", stream_of_views, (b'{"version":', b'"at":', b"null", b"[" * 2000)),
    Target("control_request", control_request, (b'{"action":"set"', b'"percentage":', b'"version":', b"[" * 2000)),
)
