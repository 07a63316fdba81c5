"""`agt bench transport`: small runs of the real thing, and runs that mean nothing and have to say so."""

import asyncio
import json

import msgspec
import pytest
from typer.testing import CliRunner

from agt.chaos.bench import _limits, _run
from agt.chaos.bench._limits import Duties, NoWaiter, digest
from agt.chaos.bench._processes import RunVoid, measure_throughput
from agt.chaos.bench._result import table
from agt.chaos.bench._run import Effort, run
from agt.chaos.bench._tasks import Counted, Ready, Sent
from agt.chaos.bench._work import Consumer, Payloads, awaited, in_batches
from agt.chaos.bench.cli import app
from support.scripted_transport import ScriptedTransport

SMALL = Effort(rounds=1, connections=20, round_trips=50, messages=1_500, batched=1_000, rows=500)


@pytest.fixture
def anyio_backend() -> str:
    """The limits are asyncio's."""
    return "asyncio"


def test_one_object_a_loop_has_the_figures_and_their_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything measured in real processes, on a line each."""
    monkeypatch.setattr("agt.chaos.bench.cli.Effort", lambda **_: SMALL)
    done = CliRunner().invoke(app, ["transport", "--json", "--loop", "asyncio", "--rounds", "1", "--connections", "20"])
    assert done.exit_code == 0, done.output
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert (result["loop"], result["limits_digest"], result["connections"]) == ("asyncio", digest(), 20)
    assert result["rtt_us"]["p50"] > 0
    assert result["rtt_us"]["p99"] >= result["rtt_us"]["p50"]
    for window in ("64", "1000"):
        limit = result["limits"]["duties"]["acked_per_s"][window]
        assert result["ratio"][f"acked_{window}"] == pytest.approx(result["acked_per_s"][window] / limit, abs=0.01)
    batch = result["batch_acked_per_s"] / result["limits"]["no_waiter"]["batch_acked_per_s"]
    assert result["ratio"]["batch"] == pytest.approx(batch, abs=0.01)
    assert result["durable_acked_per_s"] > 0
    assert min(result["cpu_s_per_100k"].values()) > 0
    assert result["rss_per_connection_bytes"] == max(result["rss_per_end_bytes"].values())
    assert "awaited, 1,000 in flight" in table(msgspec.convert(result, _run.Result))


def test_a_void_run_fails_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that was lost, doubled or never acknowledged makes every figure worthless."""

    def void(*_: object) -> None:
        raise RunVoid("sent 3, acknowledged 2; the run is void")

    monkeypatch.setattr("agt.chaos.bench.cli.run", void)
    done = CliRunner().invoke(app, ["transport", "--loop", "asyncio"])
    assert done.exit_code == 1
    assert "the run is void" in done.output


@pytest.mark.parametrize(
    ("acknowledged", "unique", "unexpected"),
    [(99, 100, 0), (100, 99, 0), (100, 100, 1)],
    ids=["unacknowledged", "lost", "doubled"],
)
def test_sent_acknowledged_and_received_once_have_to_agree(
    monkeypatch: pytest.MonkeyPatch, acknowledged: int, unique: int, unexpected: int
) -> None:
    """Each way of disagreeing is found."""
    sent = Sent(100, acknowledged, {}, 1.0, 0.0, 0.0)
    lines = {Ready: Ready(port=1), Sent: sent, Counted: Counted(unique, unexpected)}

    class Told:
        pid = 1

        def __init__(self, *_: object) -> None:
            pass

        def line(self, kind: type) -> object:
            return lines[kind]

        def stop(self) -> None:
            pass

        end = stop

    monkeypatch.setattr("agt.chaos.bench._processes.Process", Told)
    with pytest.raises(RunVoid, match="void"):
        measure_throughput("ours", "asyncio", messages=100, batched=0)


def test_a_process_that_fails_voids_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    """Instead of waiting for a line that never comes."""
    with pytest.raises(RunVoid, match="failed"):
        run(("no such loop",), Effort(rounds=1, round_trips=0), lambda _: None)
    assert "Error" in capfd.readouterr().err


async def test_the_limits_do_their_duties() -> None:
    """Numbered, checked, recognised and acknowledged: what is claimed of them holds."""
    loop, consumer, payloads = asyncio.get_running_loop(), Consumer(), Payloads()
    for kind in (Duties, NoWaiter):
        server = await loop.create_server(lambda kind=kind: kind(consumer.take), "127.0.0.1", 0)
        _, end = await loop.create_connection(lambda kind=kind: kind(consumer.take), *server.sockets[0].getsockname())
        messages = payloads.take(600)
        if isinstance(end, Duties):
            assert await awaited(end.send, messages, 64) == 600
        else:
            assert await in_batches(end.send_batch, messages, int) == 600
        end.close()
        server.close()
    assert (consumer.unique, consumer.unexpected) == (1200, 0)


async def test_a_limit_that_is_sent_damage_hangs_up_and_one_that_is_sent_twice_counts_once() -> None:
    """A checksum that nobody compares would be a weaker limit."""
    taken: list[bytes] = []
    end = Duties(taken.append)
    transport = end._transport = ScriptedTransport()
    transport.protocol = end
    frame = _limits.HEADER.pack(1, _limits.crc32(b"x", 1), 1, 0) + b"x"
    for data in (frame, frame, frame[:-1] + b"y"):
        transport.bring(data)
    assert (taken, transport.ended) == ([b"x"], "abort")


def test_a_consumer_counts_what_rises_and_nothing_else() -> None:
    """So unique means unique, at the price of a comparison."""
    consumer, (first, second) = Consumer(), Payloads().take(2)
    for payload in (first, first, second, first):
        consumer.take(payload)
    assert (consumer.unique, consumer.unexpected) == (2, 2)
