"""`agt suite run`: the same requests to control and candidate, and whether anything got worse."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from agt.supervisor.cli._options import Json, print_json
from agt.supervisor.cli._parity import SOURCE_HELP

if TYPE_CHECKING:
    from agt.router.regression import SuiteResult

app = typer.Typer(help="Compare what both runtimes answer.", no_args_is_help=True, rich_markup_mode=None)

STEPS = 10
"""Lines of progress in a run."""


@app.callback()
def suite() -> None:
    """Compare what both runtimes answer to the same requests."""


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="SUITE", help="A suite file (TOML).")],
    *,
    control: Annotated[
        str, typer.Option("--control", metavar="SOURCE", help=f"Instead of the file's: {SOURCE_HELP}")
    ] = "",
    candidate: Annotated[str, typer.Option("--candidate", metavar="SOURCE", help="Instead of the file's.")] = "",
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report.")] = None,
    json: Json = False,
) -> None:
    """Send a suite to both sides with equal seeds; 0 when the candidate is no worse, 1 when it is or can't be told."""
    from agt.router.regression import suite_junit, suite_lines  # noqa: PLC0415 - only this command pays for it.

    result = anyio.run(_run, file, control, candidate)
    if junit is not None:
        _write(junit, suite_junit(result))
    if json:
        print_json(result)
    else:
        typer.echo("\n".join(suite_lines(result)))
    if result.verdict != "passed":
        raise typer.Exit(1)


async def _run(path: Path, control: str, candidate: str) -> "SuiteResult":
    from agt.router.parity import SourceSpec, make_source, parse_source  # noqa: PLC0415 - as above.
    from agt.router.regression import load_suite, run_suite  # noqa: PLC0415 - as above.

    loaded = load_suite(path)

    def side(option: str, text: str, in_file: SourceSpec | None) -> SourceSpec:
        if not text and in_file is None:
            raise typer.BadParameter(f"{path} names no {option[2:]}; add it there or give {option}.")
        try:
            return parse_source(text) if text else in_file or SourceSpec()
        except ValueError as error:
            raise typer.BadParameter(f"{option}: {error}.") from None

    return await run_suite(
        loaded.suite,
        make_source(side("--control", control, loaded.control), base=path.parent),
        make_source(side("--candidate", candidate, loaded.candidate), base=path.parent),
        on_sample=_progress,
    )


def _progress(done: int, total: int) -> None:
    if done == total or done % max(1, total // STEPS) == 0:
        sys.stderr.write(f"{done} of {total} requests\n")


def _write(path: Path, content: bytes) -> None:
    from agt.supervisor._errors import SupervisorError  # noqa: PLC0415 - only where a report is asked for.

    try:
        path.write_bytes(content)
    except OSError as error:
        raise SupervisorError(f"{path} can't be written: {error.strerror}", "the result is not kept there") from error
