"""Alert sinks: a real HTTP server, a real program, a log line; and nothing that a sink does holds anybody up."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest

from agt.supervisor.records import Alert
from agt.supervisor.rollout import PlanInvalid, parse_plan
from agt.supervisor.sinks import QUEUE_MAX, Dispatcher, Sink, SinkReport

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The supervisor runs on asyncio."""
    return "asyncio"


class Server:
    """Answers each POST with the next status of a list, the last one for ever."""

    def __init__(self) -> None:
        self.statuses = [204]
        self.heard: list[tuple[dict[str, object], str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.heard.append((json.loads(body), self.headers.get("Authorization")))
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/hook?token=hidden"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()


@pytest.fixture
def server() -> Iterator[Server]:
    """A local HTTP server."""
    one = Server()
    yield one
    one.http.shutdown()
    one.thread.join()
    one.http.server_close()


def alert(number: int = 1, *, severity: str = "degraded", resolved: float | None = None) -> Alert:
    """Return one alert."""
    return Alert(id=number, created=5.0, severity=severity, source="slo", message="p99 is high", resolved=resolved)


async def handed_over(dispatcher: Dispatcher, *alerts: Alert) -> tuple[SinkReport, ...]:
    """Offer alerts, and run until nothing waits and each was sent, failed or shed."""
    for one in alerts:
        dispatcher.offer(one)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        with anyio.fail_after(15):
            while any(one.sent + one.failed + one.shed < len(alerts) for one in dispatcher.reports):
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    return dispatcher.reports


def of(sink: Sink, run: Path) -> Dispatcher:
    """Return a dispatcher of one sink that tries again at once."""
    return Dispatcher([sink], plan="cync", run=run, backoff_s=0.001)


async def test_a_webhook_gets_the_alert_with_its_secret_after_tries_that_failed(server, tmp_path, caplog) -> None:
    """Two refusals, then taken; the secret comes from a file beside, and no log line has it."""
    (tmp_path / "token").write_text("s3cret\n")
    server.statuses = [503, 429, 200]
    sink = Sink(name="pager", kind="webhook", url=server.url, secret="file:token")
    with caplog.at_level(logging.INFO):
        (report,) = await handed_over(of(sink, tmp_path), alert())
    assert (report.sent, report.failed, report.problem) == (1, 0, "")
    assert len(server.heard) == 3
    body, authorization = server.heard[-1]
    assert authorization == "Bearer s3cret"
    assert (body["severity"], body["message"], body["event"], body["plan"]) == (
        "degraded", "p99 is high", "opened", "cync",
    )  # fmt: skip
    assert "s3cret" not in caplog.text
    assert "hidden" not in caplog.text


@pytest.mark.parametrize(
    ("sink", "says", "tries"),
    [
        ({"url": "http://127.0.0.1:9/?token=hidden"}, "it can't be reached: ConnectError", 4),
        ({"url": "env:AGT_NO_SUCH"}, "the environment has no AGT_NO_SUCH", 1),
        ({"url": "http://127.0.0.1:9/", "secret": "file:nowhere"}, "nowhere can't be read", 1),
    ],
)
async def test_a_webhook_that_fails_says_why_without_its_address(tmp_path, caplog, sink, says, tries) -> None:
    """Bounded tries, one line at the end."""
    (report,) = await handed_over(of(Sink(name="pager", kind="webhook", **sink), tmp_path), alert())
    assert (report.failed, report.problem) == (1, says)
    assert "hidden" not in caplog.text
    assert caplog.text.count("has not taken an alert") == 1
    assert tries >= 1


async def test_a_refusal_for_good_is_not_tried_again(server, tmp_path) -> None:
    """404 is a mistake in the plan: another try is no use."""
    server.statuses = [404]
    (report,) = await handed_over(of(Sink(name="w", kind="webhook", url=server.url), tmp_path), alert())
    assert (report.failed, report.problem, len(server.heard)) == (1, "it answered 404", 1)


async def test_a_command_reads_the_alert_and_no_shell_reads_the_command(tmp_path) -> None:
    """JSON on standard input; a status other than 0 is another try, a missing program is not."""
    script = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read() + b'\\n')"
    sink = Sink(name="c", kind="command", command=("{python}", "-c", script, "{run}/$(x)"))
    (report,) = await handed_over(of(sink, tmp_path), alert(), alert(2, resolved=9.0))
    assert report.sent == 2
    lines = [json.loads(line) for line in (tmp_path / "$(x)").read_bytes().splitlines()]
    assert [(line["id"], line["event"]) for line in lines] == [(1, "opened"), (2, "resolved")]
    (report,) = await of(Sink(name="c", kind="command", command=("false",)), tmp_path).test(alert(0))
    assert report.problem == "false ended with status 1"
    (report,) = await of(Sink(name="c", kind="command", command=("/no/such",)), tmp_path).test(alert(0))
    assert "can't be run" in report.problem


async def test_a_log_sink_writes_one_line_of_json_for_what_is_urgent_enough(tmp_path, caplog) -> None:
    """The threshold holds back the mild."""
    dispatcher = of(Sink(name="l", kind="log", severity="degraded"), tmp_path)
    dispatcher.offer(alert(1, severity="warn"))
    with caplog.at_level(logging.WARNING, "agt.alerts"):
        (report,) = await handed_over(dispatcher, alert(2, severity="escalate"))
    assert report.sent == 1
    assert json.loads(caplog.messages[0].removeprefix("alert "))["id"] == 2


async def test_a_sink_that_hangs_sheds_the_oldest_and_holds_nobody_up(tmp_path) -> None:
    """Offering never waits, whatever the sink does."""
    slow = of(Sink(name="slow", kind="command", command=("sleep", "60")), tmp_path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slow.run)
        await anyio.lowlevel.checkpoint()
        for number in range(QUEUE_MAX + 40):
            slow.offer(alert(number))
        (report,) = slow.reports
        assert (report.waiting, report.shed) == (QUEUE_MAX, 40)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ('kind = "webhook"', "url"),
        ('kind = "webhook"\nurl = "ftp://x"', "url"),
        ('kind = "webhook"\nurl = "https://x"\nsecret = "plain"', "secret"),
        ('kind = "log"\nurl = "https://x"', "url"),
        ('kind = "command"', "command"),
        ('kind = "log"\ncommand = ["x"]', "command"),
    ],
)
def test_a_plan_whose_sink_makes_no_sense_is_refused_with_the_key(table: str, path: str) -> None:
    """A secret in a plan is refused, too."""
    plan = f"""
schema = 1
name = "p"
runtimes = {{ control = "a", candidate = "b" }}
[[phase]]
name = "one"
soak = "1h"
[[phase.gate]]
metric = "samples"
at_least = 1
[[sink]]
name = "s"
{table}
"""
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(plan)
    assert [problem.path for problem in caught.value.problems] == [f"sink[0].{path}"]
