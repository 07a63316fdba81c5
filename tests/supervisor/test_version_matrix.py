"""The version matrix: asked of commands, files and HTTP, complete or with what is missing by name."""

import json
import sys

import pytest
from anyio import create_task_group, create_tcp_listener
from anyio.abc import SocketAttribute

from agt.supervisor.cli._guard import guarded
from agt.supervisor.versions import (
    DOCUMENT_COMPONENTS,
    MatrixInvalid,
    ask_versions,
    build_matrix,
    load_matrix_file,
    matrix_page,
)

WHOLE = "schema = 1\ncontrol = 'v2.5H+'\ncandidate = 'v3'\n" + "\n".join(
    f"[[component]]\nname = '{name}'\ncontrol = {{ value = '2.{place}' }}\ncandidate = {{ value = '3.{place}' }}"
    for place, name in enumerate(DOCUMENT_COMPONENTS)
)


@pytest.fixture
def anyio_backend():
    """The questions are asked by a command, which runs on asyncio."""
    return "asyncio"


async def asked(tmp_path, text: str, **limits):
    """Ask what a file names, and return the matrix."""
    path = tmp_path / "versions.toml"
    path.write_text(text, encoding="utf-8")
    file = load_matrix_file(path)
    return build_matrix(file, await ask_versions(file, base=tmp_path, run=tmp_path, **limits), now=1.0)


async def test_what_document_000_names_makes_a_complete_matrix(tmp_path) -> None:
    """UI, runner, engine, snapshot schema, telemetry policy and hash salt, on both sides."""
    matrix = await asked(tmp_path, WHOLE)
    assert matrix.complete
    assert "| telemetry-policy | 2.4 | 3.4 | - |".replace(" - ", "  ") in matrix_page(matrix)


async def test_versions_come_from_commands_files_and_http(tmp_path) -> None:
    """By the first word with a digit, by a pattern, or by a key of JSON or TOML."""
    (tmp_path / "build.json").write_text('{"build": {"version": "3.1.4"}}', encoding="utf-8")
    (tmp_path / "build.toml").write_text("salt = 7", encoding="utf-8")

    async def answer(stream):
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\nengine/9.2 (x)")

    text = """
schema = 1
require = []
[[component]]
name = "ui"
control = { command = ["{python}", "-c", "print('ui version 2.5H+')"] }
candidate = { file = "build.json", key = "build.version" }
[[component]]
name = "engine"
control = { http = "http://127.0.0.1:PORT/version", pattern = "engine/([0-9.]+)" }
candidate = { file = "build.toml", key = "salt" }
"""
    async with await create_tcp_listener(local_host="127.0.0.1") as listener, create_task_group() as group:
        group.start_soon(listener.serve, answer)
        port = listener.extra_attributes[SocketAttribute.local_port]()
        matrix = await asked(tmp_path, text.replace("PORT", str(port)))
        group.cancel_scope.cancel()
    found = [(row.control.version, row.candidate.version) for row in matrix.rows]
    assert found == [("2.5H+", "3.1.4"), ("9.2", "7")]


async def test_what_is_missing_is_named_with_its_reason(tmp_path) -> None:
    """No source, no file, a failing or hanging command, no such key, a salt that differs: none of them passes."""
    text = f"""
schema = 1
require = ["ui", "hash-salt", "runner"]
[[component]]
name = "ui"
control = {{ file = "nowhere" }}
[[component]]
name = "slow"
control = {{ command = ["{sys.executable}", "-c", "import signal; signal.pause()"] }}
candidate = {{ command = ["{sys.executable}", "-c", "print('no licence'); raise SystemExit(3)"] }}
[[component]]
name = "hash-salt"
equal = true
control = {{ value = "1" }}
candidate = {{ value = "2" }}
"""
    matrix = await asked(tmp_path, text, timeout_s=0.5)
    assert matrix.missing == (
        "runner is not in the file",
        "ui of control: No such file or directory",
        "ui of candidate: the file names no source",
        "slow of control: no answer within 0.5 s",
        "slow of candidate: ended with status 3: no licence",
        "hash-salt has to be equal: 1 and 2",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("schema = 1", "component"),
        ("schema = 1\n[[component]]\nname = 'ui'\ncontrol = {}", "exactly one of"),
        ("schema = 1\n[[component]]\nname = 'ui'\n[[component]]\nname = 'ui'", "named twice"),
        ("schema = 1\n[[component]]\nname = 'ui'\ncontrol = { file = 'a', key = 'b', pattern = 'c' }", "one of them"),
        ("schema = 1\nwho = 2", "who"),
        ("not toml", "versions.toml"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path, text: str, says: str) -> None:
    """With its place."""
    (tmp_path / "versions.toml").write_text(text, encoding="utf-8")
    with pytest.raises(MatrixInvalid, match=says):
        load_matrix_file(tmp_path / "versions.toml")


def test_the_command_writes_both_forms_and_fails_when_something_is_missing(tmp_path, capsys) -> None:
    """Document 000's `version_matrix.py --out`, as a command."""
    file = tmp_path / "versions.toml"
    file.write_text(WHOLE, encoding="utf-8")
    out = tmp_path / "reports" / "version_matrix.json"
    assert guarded(["version-matrix", "--components", str(file), "--out", str(out)]) == 0
    assert len(json.loads(out.read_text(encoding="utf-8"))["rows"]) == 6
    assert guarded(["version-matrix", "--components", str(file), "--out", str(out.with_suffix(".md"))]) == 0
    assert out.with_suffix(".md").read_text(encoding="utf-8").startswith("# Version matrix")
    file.write_text(WHOLE.replace("candidate = { value = '3.0' }", ""), encoding="utf-8")
    assert guarded(["version-matrix", "--components", str(file), "--json"]) == 1
    said = capsys.readouterr()
    assert "ui of candidate: the file names no source" in json.loads(said.out)["missing"]
