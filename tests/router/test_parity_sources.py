"""Sources against real commands, sockets and servers: bounded, and one clear reason for each failure."""

import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router.parity import (
    Answer,
    Call,
    CommandSource,
    FileSource,
    FunctionSource,
    HttpSource,
    Limits,
    SourceFailed,
    SourceSpec,
    make_source,
    parse_source,
    tcp_source,
    unix_source,
)
from agt.router.parity._document_end import DocumentEnd
from agt.router.parity._spec import check_source
from support.http_runtime import BODY, ROWS, Runtime, http_runtime

few = settings(max_examples=25)

SHORT = Limits(timeout_s=0.05)
SMALL = Limits(timeout_s=20.0, max_bytes=1000)


async def reason(asking: Awaitable[Answer]) -> str:
    """Why a source fails; it has to."""
    with pytest.raises(SourceFailed) as caught:
        await asking
    return caught.value.says


# Commands.


async def test_a_command_answers_with_what_it_prints() -> None:
    """Its words are its own: no shell looks at them."""
    answer = await CommandSource(("printf", "%s", '[{"id": "$HOME;*"}]')).ask()
    assert answer.decoded() == [{"id": "$HOME;*"}]


async def test_a_command_gets_the_seed_and_the_body_of_a_call() -> None:
    """The seed in its words, the body on its standard input."""
    source = CommandSource(("sh", "-c", 'read body; printf \'{"body": %s, "seed": "%s"}\' "$body" "$0 $1"', "{seed}"))
    answer = await source.ask(Call(name="n", seed=7, body={"a": 1}, arguments=("more",)))
    assert answer.decoded() == {"body": {"a": 1}, "seed": "7 more"}


async def test_a_body_may_hold_what_only_some_json_can() -> None:
    """Half a character and `NaN` go on as they came."""
    answer = await CommandSource(("cat",)).ask(Call(body=["\ud800", float("inf")]))
    assert answer.data == b'["\\ud800",Infinity]\n'


async def test_a_command_that_fails_is_quoted() -> None:
    """Its status, and the last line that it complained with."""
    source = CommandSource(("sh", "-c", "echo '[]'; echo first >&2; echo no socket >&2; exit 3"))
    assert await reason(source.ask()) == "ends with status 3: no socket"
    assert "killed by signal 9" in await reason(CommandSource(("sh", "-c", "kill -9 $$")).ask())
    assert await reason(CommandSource(("/no/such",)).ask()) == "can't be started: no such file or directory"
    assert "null byte" in await reason(CommandSource(("a\0b",)).ask())


async def test_a_slow_command_is_killed_with_its_children(tmp_path: Path) -> None:
    """Whoever holds the pipe for writing is gone: reading it comes to an end."""
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        source = CommandSource(("sh", "-c", f"sleep 600 > {fifo} & wait"), limits=Limits(timeout_s=0.3))
        assert await reason(source.ask()) == "takes longer than 0.3 s"
        os.set_blocking(reading, True)
        assert os.read(reading, 1) == b""
    finally:
        os.close(reading)


async def test_a_command_that_prints_too_much_is_stopped() -> None:
    """`yes` would print for ever."""
    assert await reason(CommandSource(("yes",), limits=SMALL).ask()) == "prints more than 1000 bytes"


async def test_a_command_may_leave_its_input_unread() -> None:
    """Also when there is more than a pipe holds."""
    answer = await CommandSource(("echo", "[]")).ask(Call(body="x" * 1_000_000))
    assert answer.decoded() == []


# Functions and files.


async def test_functions_answer_plain_or_async() -> None:
    """Without arguments for a listing, with body and seed for a call."""

    async def later(body: Any, seed: int) -> dict[str, Any]:
        await anyio.lowlevel.checkpoint()
        return {"body": body, "seed": seed}

    assert (await FunctionSource(lambda: ROWS).ask()).decoded() == ROWS
    assert (await FunctionSource(lambda: BODY).ask()).decoded() == ROWS
    assert (await FunctionSource(later).ask(Call(seed=3))).decoded() == {"body": None, "seed": 3}


async def test_functions_that_fail_say_how() -> None:
    """Raising, too slow, no JSON."""
    released = threading.Event()
    try:
        assert await reason(FunctionSource(lambda: 1 // 0).ask()) == (
            "raises ZeroDivisionError: integer division or modulo by zero"
        )
        assert await reason(FunctionSource(released.wait, limits=SHORT).ask()) == "takes longer than 0.05 s"
        assert "no JSON" in await reason(FunctionSource(object).ask())
    finally:
        released.set()  # The thread that was left behind.


async def test_files_are_read_when_they_are_files(tmp_path: Path) -> None:
    """A pipe would hang, a folder has no bytes, a large file is refused."""
    path = tmp_path / "rows.json"
    path.write_bytes(BODY)
    assert (await FileSource(path).ask()).decoded() == ROWS
    assert "larger than 3 bytes" in await reason(FileSource(path, limits=Limits(max_bytes=3)).ask())
    assert await reason(FileSource(tmp_path / "none").ask()) == "can't be read: no such file or directory"
    os.mkfifo(tmp_path / "pipe")
    assert await reason(FileSource(tmp_path / "pipe").ask()) == "is no regular file"


# Sockets.

Handler = Callable[[SocketStream], Awaitable[None]]


@asynccontextmanager
async def listening(path: Path, handler: Handler) -> AsyncIterator[str]:
    """A server on a Unix socket."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):  # The other side has gone.
                await handler(stream)

    async with await anyio.create_unix_listener(str(path)) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield str(path)
        tasks.cancel_scope.cancel()


async def test_a_socket_answers_without_closing(tmp_path: Path) -> None:
    """The document's own end is the answer's, in however many pieces it comes."""
    asked: list[bytes] = []

    async def handler(stream: SocketStream) -> None:
        asked.append(await stream.receive())
        for at in range(len(BODY)):
            await stream.send(BODY[at : at + 1])
        await stream.receive()  # Until the other side has gone.

    async with listening(tmp_path / "s", handler) as path:
        answer = await unix_source(path, send="list_panes").ask()
        assert answer.decoded() == ROWS
        assert (await unix_source(path).ask(Call(body={"m": 1}))).decoded() == ROWS
    assert asked == [b"list_panes\n", b'{"m":1}\n']


async def test_rows_end_with_an_empty_line_or_the_connection(tmp_path: Path) -> None:
    """One row a line."""

    async def handler(stream: SocketStream) -> None:
        await stream.send(b'{"id": 1}\n{"id": 2}\n')
        await stream.send(b"\n")
        await stream.receive()

    async def closing(stream: SocketStream) -> None:
        await stream.send(b'{"id": 3}')

    async with listening(tmp_path / "s", handler) as path:
        assert (await unix_source(path, send="x", read="lines").ask()).data == b'{"id": 1}\n{"id": 2}\n\n'
    async with listening(tmp_path / "t", closing) as path:
        assert (await unix_source(path, read="end").ask()).decoded() == {"id": 3}


async def test_sockets_that_fail_say_how(tmp_path: Path) -> None:
    """Absent, silent, closing, and endless."""

    async def silent(stream: SocketStream) -> None:
        await stream.receive()
        await anyio.sleep_forever()

    async def closing(stream: SocketStream) -> None:
        await stream.receive()

    async def endless(stream: SocketStream) -> None:
        while True:
            await stream.send(b"[" * 4096)

    assert await reason(unix_source(str(tmp_path / "none")).ask()) == "can't be reached: no such file or directory"
    async with listening(tmp_path / "a", silent) as path:
        assert await reason(unix_source(path, send="x", limits=SHORT).ask()) == "doesn't answer within 0.05 s"
    async with listening(tmp_path / "b", closing) as path:
        assert await reason(unix_source(path, send="x").ask()) == "closes without an answer"
    async with listening(tmp_path / "c", endless) as path:
        assert await reason(unix_source(path, limits=SMALL).ask()) == "answers more than 1000 bytes"


async def test_tcp_is_the_same_way_in() -> None:
    """A port that nobody listens on is named."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            await stream.send(b"17\n")

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        assert (await tcp_source("127.0.0.1", port).ask()).decoded() == 17
        tasks.cancel_scope.cancel()
    assert (await reason(tcp_source("127.0.0.1", port).ask())).startswith("can't be reached: ")
    assert (await reason(tcp_source("x" * 70, port).ask())).startswith("can't be reached: ")
    assert (await reason(unix_source("a\0b").ask())).startswith("can't be reached: ")


@few
@given(st.text(alphabet='ab"\\[]{}\x01é', max_size=12), st.booleans(), st.lists(st.integers(0, 60), max_size=4))
def test_a_documents_end_is_found_however_it_is_cut(text: str, escaped: bool, places: list[int]) -> None:
    """Not one byte earlier, and at the latest with its last, whatever its texts hold."""
    document = json.dumps([{text: [text, 1]}, {}], ensure_ascii=escaped).encode()
    cuts = sorted({min(place, len(document)) for place in places})
    end = DocumentEnd()
    for start, stop in zip([0, *cuts], [*cuts, len(document)], strict=True):
        assert end.feed(document[start:stop]) == (stop == len(document))


# HTTP.


@pytest.fixture(scope="module")
def server() -> Iterator[Runtime]:
    """A real server."""
    with http_runtime() as running:
        yield running


async def test_http_answers_on_tcp_and_on_unix_sockets(server: Runtime) -> None:
    """The same answer either way."""
    address, path = server.address, server.socket
    assert (await HttpSource(f"{address}/panes").ask()).decoded() == ROWS
    assert (await HttpSource("http://localhost/panes", unix=path).ask()).decoded() == ROWS
    spec = parse_source(f"http+unix:{path}?path=/echo%3Fa=1&method=PUT")
    assert (await make_source(spec).ask()).decoded() == {"method": "PUT", "sent": "", "auth": None, "query": "a=1"}


async def test_http_sends_a_calls_body_and_headers_from_variables(
    server: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens need not stand in files; one that is missing is named."""
    source = HttpSource(server.address, headers={"Authorization": "env:PARITY_TOKEN"})
    assert await reason(source.ask()) == "needs the variable PARITY_TOKEN, which is not set"
    monkeypatch.setenv("PARITY_TOKEN", "Bearer x")
    answer = await source.ask(Call(path="/echo", body=[1]))
    assert answer.decoded() == {"method": "POST", "sent": "[1]", "auth": "Bearer x", "query": ""}


async def test_http_that_fails_says_how(server: Runtime, tmp_path: Path) -> None:
    """A status is an answer, for whoever asked to judge; silence, packing and floods are none."""
    address = server.address
    answer = await HttpSource(f"{address}/down").ask()
    assert (answer.status, answer.refused) == (503, True)
    assert await reason(HttpSource(f"{address}/slow", limits=Limits(timeout_s=0.2)).ask()) == (
        "doesn't answer within 0.2 s"
    )
    assert "packed (gzip)" in await reason(HttpSource(f"{address}/packed").ask())
    assert await reason(HttpSource(f"{address}/large", limits=SMALL).ask()) == "answers more than 1000 bytes"
    assert "can't be reached" in await reason(HttpSource("http://x/", unix=str(tmp_path / "none")).ask())


# Specifications.


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("cmd:agtmux list_panes 'a b'", SourceSpec(command=("agtmux", "list_panes", "a b"))),
        ("unix:/run/v4.sock?send=list_panes", SourceSpec(unix="/run/v4.sock", send="list_panes")),
        ("tcp:[::1]:9000?send=%7B%7D&read=lines", SourceSpec(tcp="[::1]:9000", send="{}", read="lines")),
        ("http://h/p?q=1", SourceSpec(http="http://h/p?q=1")),
        ("http+unix:/s?path=/p", SourceSpec(unix="/s", http="http://localhost/p")),
        ("file:a.json", SourceSpec(file="a.json")),
        ("function:a.b:c", SourceSpec(function="a.b:c")),
    ],
)
def test_sources_are_written_in_one_line(text: str, spec: SourceSpec) -> None:
    """As the command line takes them."""
    assert parse_source(text) == spec


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("list_panes", "is no source; it starts with one of cmd:"),
        ("unix:", "says nothing about where"),
        ("unix:/s?sent=x", "has no option sent; did you mean send?"),
        ("unix:/s?read=all", "no way to read"),
        ("unix:/s?send=a%0Ab", "send is one line"),
        ("tcp:9000", "is no HOST:PORT"),
        ("tcp:h:99999", "is no HOST:PORT"),
        ("http://", "is no address"),
        ("http://h:port/", "is no address"),
        ("cmd:'", "can't be split: no closing quotation"),
        ("cmd:  ", "needs one of command"),
        ("function:a", "names no function"),
        ("file:" + "x" * 5000, "at most 4096 characters"),
    ],
)
def test_what_is_no_source_says_what_to_write(text: str, says: str) -> None:
    """One line each."""
    with pytest.raises(ValueError, match=says) as caught:
        parse_source(text)
    assert "\n" not in str(caught.value)


def test_a_table_names_one_source() -> None:
    """Two kinds at once mean nothing, but for HTTP on a Unix socket."""
    assert list(check_source(SourceSpec(http="http://h/", unix="/s"), "x")) == []
    (problem,) = check_source(SourceSpec(file="a", unix="/s"), "x")
    assert "it has unix and file" in str(problem)


async def test_functions_are_imported_by_name_when_they_are_asked() -> None:
    """What is missing is named then, so that a gate can report it."""
    assert (await make_source(parse_source("function:os:getpid")).ask()).decoded() == os.getpid()
    for path, says in (
        ("no.such:f", "can't be imported: ModuleNotFoundError"),
        ("json:nothing", "can't be imported: AttributeError"),
        ("json:__name__", "is no function"),
    ):
        assert says in await reason(make_source(parse_source(f"function:{path}")).ask())
