"""Asking components for their versions: commands, files and HTTP, a few at a time, each bounded in time and size."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import anyio

from agt.supervisor.components import expand
from agt.supervisor.versions._matrix import VERSION_MAX, Asked, MatrixFile, Side, Source

ANSWER_MAX_BYTES: Final = 64 << 10
TIMEOUT_S: Final = 5.0
AT_ONCE: Final = 8
_WORD: Final = re.compile(r"\S*\d\S*")


class _NoVersion(Exception):
    """Raised when an answer holds no version; its text says why."""


async def ask_versions(
    file: MatrixFile, *, base: Path, run: Path, timeout_s: float = TIMEOUT_S
) -> dict[tuple[str, Side], Asked]:
    """Ask every component on both sides; what fails is an answer with its reason.

    Args:
        file: Who is asked.
        base: The folder that files are named from.
        run: The run directory, for `{run}` in commands.
        timeout_s: Of one question.
    """
    found: dict[tuple[str, Side], Asked] = {}
    places = anyio.CapacityLimiter(AT_ONCE)

    async def ask(name: str, side: Side, source: Source | None) -> None:
        async with places:
            found[name, side] = await _ask(source, base=base, run=run, timeout_s=timeout_s)

    async with anyio.create_task_group() as group:
        for one in file.component:
            group.start_soon(ask, one.name, "control", one.control)
            group.start_soon(ask, one.name, "candidate", one.candidate)
    return found


async def _ask(source: Source | None, *, base: Path, run: Path, timeout_s: float) -> Asked:
    if source is None:
        return Asked(why="the file names no source")
    try:
        with anyio.fail_after(timeout_s):
            return Asked(version=_version(source, await _answer(source, base=base, run=run)))
    except TimeoutError:
        return Asked(why=f"no answer within {timeout_s:g} s")
    except (_NoVersion, OSError) as error:
        return Asked(why=" ".join(str(getattr(error, "strerror", None) or error).split())[:VERSION_MAX])


async def _answer(source: Source, *, base: Path, run: Path) -> str:
    if source.value:
        return source.value
    if source.file:
        async with await anyio.open_file(base / source.file, "rb") as file:
            return (await file.read(ANSWER_MAX_BYTES)).decode("utf-8", "replace")
    return await (_fetched(source.http) if source.http else _printed(source, run))


async def _printed(source: Source, run: Path) -> str:
    done = await anyio.run_process(
        [expand(word, run=run) for word in source.command],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        check=False,
        env={**os.environ, "AGT_RUN_DIR": str(run)},
        start_new_session=True,
    )
    text = done.stdout[:ANSWER_MAX_BYTES].decode("utf-8", "replace")
    if done.returncode:
        last = (text.strip().splitlines() or ["it said nothing"])[-1]
        raise _NoVersion(f"ended with status {done.returncode}: {last}")
    return text


async def _fetched(address: str) -> str:
    import httpx  # noqa: PLC0415 - only matrices with an HTTP source pay for it.

    try:
        async with httpx.AsyncClient() as client, client.stream("GET", address) as answer:
            if answer.status_code != httpx.codes.OK:
                raise _NoVersion(f"answered with status {answer.status_code}")
            body = b""
            async for part in answer.aiter_bytes():
                body += part[: ANSWER_MAX_BYTES - len(body)]
                if len(body) >= ANSWER_MAX_BYTES:
                    break
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _NoVersion(str(error) or type(error).__name__) from error
    return body.decode("utf-8", "replace")


def _version(source: Source, text: str) -> str:
    found = text if source.value else _by_key(source.key, text) if source.key else _by_pattern(source.pattern, text)
    found = found.strip()
    if not found or len(found) > VERSION_MAX or not found.isprintable():
        raise _NoVersion("the answer holds no version" if not found else "what it says is no version")
    return found


def _by_key(path: str, text: str) -> str:
    try:
        found: Any = json.loads(text)
    except ValueError:
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            raise _NoVersion("the answer is neither JSON nor TOML") from None
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            raise _NoVersion(f"the answer has no {path}")
        found = found[part]
    if isinstance(found, dict | list | bool) or found is None:
        raise _NoVersion(f"{path} is no version")
    return str(found)


def _by_pattern(pattern: str, text: str) -> str:
    if not pattern:
        match = _WORD.search(text)
        return match[0] if match else ""
    try:
        match = re.search(pattern, text)
    except re.error as error:
        raise _NoVersion(f"the pattern can't be used: {error}") from error
    if match is None:
        raise _NoVersion(f"nothing in the answer matches {pattern}")
    return match[1] if match.re.groups else match[0]
