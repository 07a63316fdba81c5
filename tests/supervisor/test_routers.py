"""Which routers there are without a plan, and what is made of their answers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agt.supervisor._answers import answer_of, missing, redial_in_words, slowest
from agt.supervisor._routers import DEFAULT_ROUTER, ROUTERS_MAX, find_routers, list_routers
from agt.supervisor._tell import tell_all
from agt.supervisor.cli._kill import KillReport, kill_lines
from agt.supervisor.view import RouterAnswer


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory that nobody has used."""
    return tmp_path


def test_without_anything_to_go_by_there_is_the_one_gateway(run: Path) -> None:
    """Also where there is no directory: the answer then says that nobody answers there."""
    assert find_routers(run) == {DEFAULT_ROUTER: run / DEFAULT_ROUTER}
    assert find_routers(run / "nowhere") == {DEFAULT_ROUTER: run / "nowhere" / DEFAULT_ROUTER}


def test_what_follows_the_rule_is_found(run: Path) -> None:
    """`gateway.sock` and `gateway-NAME.sock`; control's socket, logs and the like are none."""
    for name in (
        "gateway.sock",
        "gateway-east.sock",
        "gateway-west.sock",
        "control.sock",
        "gateway.json",
        "fleet.sock",
    ):
        (run / name).touch()
    assert list(find_routers(run)) == ["gateway-east.sock", "gateway-west.sock", "gateway.sock"]


def test_what_the_plan_lists_comes_first_and_is_missed_when_it_is_gone(run: Path) -> None:
    """A listed router without a socket, one elsewhere, and one that came later by the rule."""
    (run / "gateway-late.sock").touch()
    list_routers(run, ["gateway-a.sock", "/elsewhere/r.sock"])
    assert find_routers(run) == {
        "gateway-a.sock": run / "gateway-a.sock",
        "/elsewhere/r.sock": Path("/elsewhere/r.sock"),
        "gateway-late.sock": run / "gateway-late.sock",
    }


def test_the_list_is_written_only_when_it_says_something_new(run: Path) -> None:
    """So that a supervisor comes up again on a full disk."""
    list_routers(run, ["gateway.sock"])
    before = (run / "routers").stat().st_ino
    list_routers(run, ["gateway.sock"])
    assert (run / "routers").stat().st_ino == before
    list_routers(run, ["gateway.sock", "gateway-b.sock"])
    assert list(find_routers(run)) == ["gateway.sock", "gateway-b.sock"]
    assert [path.name for path in run.iterdir()] == ["routers"]


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\n\n \n", b"".join(b"%d\n" % n for n in range(100_000))])
def test_a_damaged_list_hides_no_router(run: Path, data: bytes) -> None:
    """Whatever follows the rule is still found, and no more are asked than there is room for."""
    (run / "routers").write_bytes(data)
    (run / "gateway-b.sock").touch()
    found = find_routers(run)
    assert len(found) <= 2 * ROUTERS_MAX
    assert "gateway-b.sock" in found


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [(500, b"{}", "answers 500"), (200, b"<html>", "answers what can't be read"), (200, b'{"moving": "x"}', "read")],
)
def test_nonsense_confirms_nothing(status: int, body: bytes, why: str) -> None:
    """Only a receipt is a confirmation."""
    answer = answer_of("r", status, body, ms=1.0)
    assert not answer.confirmed
    assert why in answer.why


def test_the_slowest_and_the_missing_are_named() -> None:
    """A missing router is not the slowest: it has no time at all."""
    answers = (RouterAnswer(router="a", ms=3.0), RouterAnswer(router="b", ms=9.0), RouterAnswer(router="c", why="hung"))
    last = slowest(answers)
    assert last is not None
    assert last.router == "b"
    assert [one.router for one in missing(answers)] == ["c"]
    assert slowest(answers[2:]) is None


def test_redial_is_told_with_its_pace() -> None:
    """Paces add up over routers, and the crowd is through when the slowest router's part is."""
    a, b = RouterAnswer(router="a", redial=100, redial_per_s=50.0), RouterAnswer(router="b", redial=30, redial_per_s=10)
    assert redial_in_words((a, b)) == "130 devices come back by redial, at most 60 a second, over about 3.0 s"
    assert redial_in_words((RouterAnswer(router="a", redial=1),)) == "1 device comes back by redial"
    assert redial_in_words((RouterAnswer(router="a", moving=5, redial_per_s=9.0),)) == ""


def test_the_receipt_is_written_down_for_people() -> None:
    """Who confirmed, who was last, who is missing and why, and that nothing latches it."""
    report = KillReport(
        kill_switch=True,
        says="killed",
        routers={"a": True, "b": True, "c": False},
        missing={"c": "silent for 3 s"},
        slowest="b",
        routed_ms=12.4,
        selector_taken=False,
    )
    assert kill_lines(report) == [
        "killed",
        "routed in 12 ms: a, b confirmed, b last",
        "MISSING c: silent for 3 s; it follows the latch when it is back",
        "NOT LATCHED: the selector can't be taken away, so a restarted router would follow it again",
    ]


@contextmanager
def _listening(path: Path, answer: bytes) -> Iterator[None]:
    """Somebody on a socket: one who says something, or one who hangs with its connections open."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            peer = server.accept()[0]
            peer.recv(4096)
            peer.sendall(answer)
            peer.close()

        thread = threading.Thread(target=serve)
        if answer:
            thread.start()
        yield
    if answer:
        thread.join()


def test_a_hung_router_holds_up_nobody(run: Path) -> None:
    """All are told at once: the quick one confirms in its own time, the others say why they have not."""
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"moving":7}'
    with _listening(run / "gateway.sock", answer), _listening(run / "gateway-hung.sock", b""):
        list_routers(run, ["gateway-gone.sock", "gateway-hung.sock", "gateway.sock"])
        gone, hung, quick = tell_all(find_routers(run), "/kill", timeout_s=0.2)
    assert (gone.confirmed, gone.why) == (False, "no such file or directory")
    assert (hung.confirmed, hung.why) == (False, "silent for 0.2 s")
    assert quick.confirmed
    assert quick.moving == 7
    assert (quick.ms or 0) < 200
