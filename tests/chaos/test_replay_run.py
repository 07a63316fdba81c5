"""The replay command over real sockets: on a small capture made here, and on the recorded ones where they are."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agt.chaos.replay.cli import app
from agt.transport.wires.cync import answer, heartbeat, hello, one_packet, power_command, status, time_request

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(os.environ.get("AGT_SHARED_DATA", ROOT.parent / "shared" / "data")) / "cync"
COUNTS = [
    "sent",
    "delivered",
    "not_delivered",
    "indeterminate",
    "lost",
    "duplicated",
    "out_of_order",
    "retransmits",
    "mismatched",
    "latency_ms",
    "unmatched_acks",
    "redelivered",
]
FACTS = ["chunks", "packets", "by_type", "devices", "injected", "malformed", "unattributed"]


def recorded(name: str) -> Path:
    """A recorded capture, or a reason why not."""
    path = RECORDED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the project; set AGT_SHARED_DATA to the folder that has cync/{name}")
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three devices: what real ones do, identical packets sent on purpose included."""
    packets: list[tuple[str, bytes]] = []

    def request(data: bytes) -> None:
        reply = answer(one_packet(data))
        assert reply is not None
        packets.extend((("DEV→CLOUD", data), ("CLOUD→DEV", reply.data)))

    for index in range(3):
        endpoint = bytes((0x7E, 0x7E, 0, index))
        request(hello(endpoint).data)
        request(time_request().data)
        for _ in range(3):
            request(heartbeat().data)
            request(bytes.fromhex("43 00 00 00 07") + endpoint + bytes.fromhex("01 01 06"))
        for identifier in (1, 2, 2):
            request(status(endpoint, bytes(12), message_id=identifier).data)
        for number in range(4):
            command = power_command(endpoint, 5, on=bool(number % 2), number=number).data
            ack = answer(one_packet(command))
            assert ack is not None
            packets.extend((("CLOUD→DEV", command), ("DEV→CLOUD", ack.data)))
    path = tmp_path_factory.mktemp("captures") / "small.txt"
    path.write_text(
        "".join(
            f"2026-01-05T09:00:{at / 50:09.6f} {way} ({len(data)} bytes)\n{data.hex(' ')}\n\n"
            for at, (way, data) in enumerate(packets)
        ),
        encoding="utf-8",
    )
    return path


def replay(capture: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the command in this process; return its exit status and its report."""
    result = CliRunner().invoke(app, [str(capture), "--wire", "cync", "--json", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout)


def test_small_capture_goes_through_both_paths_untouched(small: Path) -> None:
    """Nothing lost, changed, doubled or misplaced, and every ack explained."""
    status_code, report = replay(small)
    assert status_code == 0
    assert report["capture"]["devices"] == 3
    assert report["capture"]["packets"] == 90
    assert report["capture"]["unattributed"] == 12
    for run in report["runs"].values():
        assert (run["sent"], run["delivered"]) == (45, 45)
        assert {name: run[name] for name in COUNTS if name not in {"sent", "delivered", "latency_ms"}} == dict.fromkeys(
            set(COUNTS) - {"sent", "delivered", "latency_ms"}, 0
        )


def test_report_has_exactly_the_promised_shape(small: Path) -> None:
    """Scripts read it."""
    _, report = replay(small, "--seed", "5")
    assert list(report) == ["capture", "runs", "seed", "seconds"]
    assert list(report["capture"]) == FACTS
    assert list(report["runs"]) == ["control", "candidate"]
    for run in report["runs"].values():
        assert list(run) == COUNTS
        assert list(run["latency_ms"]) == ["p50", "p99"]
        assert 0 < run["latency_ms"]["p50"] <= run["latency_ms"]["p99"]
    assert report["seed"] == 5
    assert report["seconds"] > 0


def test_with_drops_the_legacy_path_loses_and_the_candidate_does_not(small: Path) -> None:
    """A fifth of all packets vanish, answers included."""
    status_code, report = replay(small, "--drop", "0.2", "--max-retries", "none", "--seed", "3")
    control, candidate = report["runs"]["control"], report["runs"]["candidate"]
    assert status_code == 0
    assert control["lost"] > 0
    assert (control["retransmits"], control["sent"]) == (0, 45)
    assert (candidate["lost"], candidate["mismatched"], candidate["delivered"]) == (0, 0, 45)
    assert candidate["retransmits"] > 0
    assert candidate["duplicated"] == 0, "each extra arrival is explained by a resend of ours"


def test_without_retries_the_exit_status_tells_that_the_candidate_lost_too(small: Path) -> None:
    """Honest about its limits."""
    status_code, report = replay(small, "--drop", "0.3", "--max-retries", "0", "--seed", "3")
    assert report["runs"]["candidate"]["lost"] > 0
    assert report["runs"]["candidate"]["indeterminate"] > 0
    assert status_code == 1


def test_doubled_packets_are_told_from_repeats_on_purpose(small: Path) -> None:
    """Commands and statuses are recognised on the candidate; what can't be told apart is counted."""
    status_code, report = replay(small, "--duplicate", "1")
    control, candidate = report["runs"]["control"], report["runs"]["candidate"]
    assert status_code == 0
    assert control["duplicated"] == 45
    # Hello, time, heartbeat and device info carry nothing to recognise a copy by: 8 for each device.
    assert candidate["duplicated"] == 24
    assert candidate["lost"] == control["lost"] == 0


def test_speed_follows_the_captures_own_pace(small: Path) -> None:
    """Its last message comes after 1.7 seconds, on each of two paths."""
    status_code, paced = replay(small, "--speed", "1")
    assert status_code == 0
    assert paced["seconds"] > 2 * 1.7


def test_malformed_bytes_are_named_and_stop_nothing(small: Path, tmp_path: Path) -> None:
    """On standard error, with their offset, so that the report stays a report."""
    damaged = tmp_path / "damaged.txt"
    damaged.write_text(
        small.read_text("utf-8") + "2026-01-05T09:00:09 DEV→CLOUD (3 bytes)\naa bb cc\n\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "agt.chaos.replay", str(damaged), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["capture"]["malformed"] == 3
    assert "offset 0: 3 bytes are no packet: aa bb cc" in done.stderr


@pytest.mark.parametrize(
    ("content", "says", "exit_status"),
    [
        (b"dear diary\n", "is no capture", 1),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", "holds TLS records", 1),
        ("2026-01-05T09:00:00 DEV→CLOUD (5 bytes)\nd3 00".encode(), "is cut off", 1),
        (None, "cannot read", 2),
    ],
)
def test_wrong_file_gets_one_clear_answer(tmp_path: Path, content: bytes | None, says: str, exit_status: int) -> None:
    """One line, no traceback, nothing on standard output."""
    path = tmp_path / "capture.txt"
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(app, [str(path)])
    assert (result.exit_code, result.stdout) == (exit_status, "")
    assert says in result.stderr
    assert str(path) in result.stderr
    assert result.stderr.count("\n") == 1


def test_senseless_retries_are_wrong_usage(small: Path) -> None:
    """A word that is neither a number nor none."""
    assert CliRunner().invoke(app, [str(small), "--max-retries", "many"]).exit_code == 2


def test_recorded_capture_goes_through_both_paths_untouched() -> None:
    """Ten minutes of 25 real devices."""
    status_code, report = replay(recorded("capture_20251106_082038.txt"))
    assert status_code == 0
    assert report["capture"] == {
        "chunks": 2251,
        "packets": 2380,
        "by_type": {
            "0x23": 25,
            "0x28": 25,
            "0x43": 381,
            "0x48": 381,
            "0x83": 101,
            "0x88": 101,
            "0xc3": 25,
            "0xc8": 25,
            "0xd3": 658,
            "0xd8": 658,
        },
        "devices": 25,
        "injected": 0,
        "malformed": 0,
        "unattributed": 683,
    }
    for run in report["runs"].values():
        assert (run["sent"], run["lost"], run["mismatched"], run["unmatched_acks"]) == (1190, 0, 0, 0)


def test_made_commands_go_through_both_paths_untouched() -> None:
    """400 commands with their acks and statuses."""
    status_code, report = replay(recorded("made_commands.txt"))
    assert status_code == 0
    assert (report["capture"]["chunks"], report["capture"]["by_type"]["0x73"]) == (1850, 400)
    for run in report["runs"].values():
        assert (run["sent"], run["lost"], run["mismatched"], run["unmatched_acks"]) == (925, 0, 0, 0)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 21))
def test_recorded_commands_survive_a_fifth_lost(seed: int) -> None:
    """Legacy loses, the candidate doesn't, whatever the seed."""
    status_code, report = replay(
        recorded("made_commands.txt"), "--drop", "0.2", "--max-retries", "none", "--seed", str(seed)
    )
    assert status_code == 0
    assert report["runs"]["control"]["lost"] > 0
    assert report["runs"]["candidate"]["lost"] == 0
