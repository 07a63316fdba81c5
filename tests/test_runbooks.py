"""Pages that somebody reads at night are right: links find their page and heading, commands and options exist."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from agt.supervisor.cli._app import app

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted((ROOT / "docs" / "runbooks").glob("*.md")),
    *(ROOT / "docs" / "guides" / f"{name}.md" for name in ("first-migration", "training", "troubleshooting-guide")),
    *(ROOT / "docs" / "architecture" / f"{name}.md" for name in ("reliable-transport-design", "migration-history")),
    ROOT / "docs" / "reference" / "version-matrix.md",
]
BROUGHT = {"demo", "chaos", "bench", "replay", "rehearse"}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """Return the headings of a page as a reader's browser names them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@every_page
def test_every_link_finds_its_page_and_heading(page: Path) -> None:
    """Pages move, and headings are reworded."""
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@every_page
def test_every_command_is_one(page: Path) -> None:
    """Names and options, in blocks and between backticks, are those of the command line."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(agt [^`]+)`", text.replace("\n", " "))
    for line in lines:
        words = line.split("#")[0].split()
        if words[:1] == ["agt"] and words[1] not in BROUGHT:
            check(words[1:], line)


def check(rest: list[str], line: str) -> None:
    """Follow a command through its groups, then look at its options."""
    command: Any = get_command(app)
    context = command.make_context("agt", ["--help"], resilient_parsing=True)
    while rest and not rest[0].startswith("-") and hasattr(command, "list_commands"):
        assert rest[0] in command.list_commands(context), line
        command = command.get_command(context, rest.pop(0))
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    given = {re.match(r"--[a-z-]+", word.lstrip("["))[0] for word in rest if word.lstrip("[").startswith("--")}
    assert given <= known, line
