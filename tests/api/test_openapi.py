"""The description and the API are the same: by the routes, by the checked-in pages, and by many odd requests."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from agt.supervisor import _token_desk
from agt.supervisor._rundir import RunDirectory
from agt.supervisor.access import LOCAL, Caller, TokenFile, may_call
from agt.supervisor.control import Hub, create_app, openapi_document
from agt.supervisor.control import _doors as doors
from agt.supervisor.control._describe import TEXT
from agt.supervisor.rollout import parse_plan
from agt.supervisor.service import Supervisor
from agt.supervisor.tokens import TokenOrder

ROOT = Path(__file__).parents[2]

PLAN = """
schema = 1
name = "described"
routers = ["gateway.sock"]
checks_every = "1s"
[runtimes]
control = "old"
candidate = "new"
[[phase]]
name = "half"
route = { percent = 50 }
soak = "10s"
[[phase.gate]]
sign_off = "release"
"""
ENDLESS = {"/v1/stream"}
"""What doesn't end by itself; test_stream has it."""
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT = openapi_document()
OPERATIONS = [
    (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods if path not in ENDLESS
]


def test_every_route_is_described_and_nothing_else_is() -> None:
    """Path by path and method by method."""
    anything: Any = object()
    app = create_app(anything, Hub(anything), books=anything, tokens=anything, care=anything)
    served = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or {"GET"})
        if method != "HEAD"
    }
    assert served == {*OPERATIONS, ("GET", "/v1/stream")}


def test_every_operation_says_all_its_errors_in_one_shape() -> None:
    """Doors answer before any route does; every error has the same body."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            assert {"401", "403", "421", "429", "503"} <= operation["responses"].keys(), (path, method)
            for status, answer in operation["responses"].items():
                if status != "200":
                    assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorBody")
            named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert named == {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
    assert DOCUMENT["security"] == [{"token": []}]


def test_the_checked_in_pages_are_current() -> None:
    """The script that writes them says so."""
    command = [sys.executable, str(ROOT / "scripts" / "control_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Running:
    """A real supervisor in a thread, and how to ask it."""

    def __init__(self, base_url: str, tokens: dict[str, str]) -> None:
        self.base_url, self.tokens = base_url, tokens
        self.schema = schemathesis.openapi.from_dict(DOCUMENT)

    def ask(self, case: schemathesis.Case, who: str) -> None:
        """Send one request and hold the answer against the description."""
        assume(not (isinstance(case.body, dict) and case.body.get("action") == "down"))
        response = case.call(base_url=self.base_url, headers={"authorization": f"Bearer {self.tokens[who]}"})
        checks = CHECKS if response.status_code == 503 else [*CHECKS, not_a_server_error]
        case.validate_response(response, checks=checks)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A supervisor of a plan without components; its budgets are wide, or there would be nothing but 429."""
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    run.path.chmod(0o700)
    tokens = TokenFile(run.path)
    shown = {name: tokens.create(TokenOrder(name=name, role=name)).token for name in ("viewer", "operator")}
    shown["owner"] = tokens.create(TokenOrder(name="owner", role="operator")).token
    listening: list[str] = []
    supervisor = Supervisor(parse_plan(PLAN), run, http=("127.0.0.1", 0))
    with pytest.MonkeyPatch.context() as patched, start_blocking_portal("asyncio") as portal:
        patched.setattr(doors, "TOKEN_PER_S", 1e6)
        patched.setattr(doors, "TOKEN_BURST", 1e6)
        patched.setattr(_token_desk, "_say_address", lambda host, port: listening.append(f"http://{host}:{port}"))
        patched.setattr(doors, "may_call", may_call_as_named)
        future, _ = portal.start_task(supervisor.run)
        yield Running(listening[0], shown)
        portal.call(supervisor.down)
        future.result(timeout=10)


def may_call_as_named(caller: Caller, method: str, path: str) -> bool:
    """Let the token called owner do what the Unix socket's owner may: the walk is made over TCP."""
    return may_call(LOCAL if caller.name == "owner" else caller, method, path)


def walk(running: Running, *, examples: int) -> None:
    """Ask every operation for what fits its description and for what doesn't, as everybody."""
    for method, path in OPERATIONS:
        operation = running.schema[path][method]
        ask_all(running, operation.as_strategy(generation_mode=GenerationMode.POSITIVE), examples=examples)
        described = DOCUMENT["paths"][path][method.lower()]
        limited = any(one["schema"] != TEXT for one in described.get("parameters", ()))
        if limited or "requestBody" in described:  # Where any text will do, nothing can be wrong.
            ask_all(running, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), examples=examples)


def ask_all(running: Running, cases: SearchStrategy[schemathesis.Case], *, examples: int) -> None:
    """Ask for some cases, each as everybody."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def ask(case: schemathesis.Case) -> None:
        for who in running.tokens:
            running.ask(case, who)

    ask()


@pytest.mark.soak  # Loading schemathesis alone takes seconds of processor time.
@pytest.mark.timeout(900)
def test_odd_requests_are_answered_as_described(running: Running) -> None:
    """No 5xx but 503, and every answer has a status, a type and a shape that the description names."""
    walk(running, examples=30)
