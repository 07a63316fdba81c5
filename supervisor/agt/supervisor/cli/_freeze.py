"""`agt freeze`, `agt unfreeze` and `agt rehearse-back`: nothing goes forward, and is the way back whole?"""

import time
from typing import Annotated

import typer

from agt.supervisor.cli._operate import ACT_TIMEOUT_S, show_answer
from agt.supervisor.cli._options import By, Json, Reason, RunDir, action, control

UNTIL_HELP = "How long (12h, 3d), or when it ends (2026-12-24T08:00). [default: until it is ended]"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(freeze)
    app.command()(unfreeze)
    app.command("rehearse-back")(rehearse_back)


def freeze(
    reason: Annotated[str, typer.Argument(help="Why; recorded and shown.")],
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help=UNTIL_HELP)] = "",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Let nothing go forward, until it is ended. Going back always works."""
    order = action("freeze", by=by, reason=reason, expires_at=_when(until))
    show_answer(control(run_dir).act(order), json=json)


def unfreeze(reason: Reason = "", by: By = "", run_dir: RunDir = None, json: Json = False) -> None:
    """End the freeze; days that the plan names end by themselves."""
    api = control(run_dir)
    show_answer(api.act(action("unfreeze", by=by, reason=reason, version=api.view().version)), json=json)


def rehearse_back(
    device: Annotated[
        str, typer.Argument(help="The probe's id, or a pattern (`probe-*`). [default: the plan's]", show_default=False)
    ] = "",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Take a probe device to the candidate and back, as a rollback would, and say how long it took.

    No other device is touched. Fails when the way back is broken, or slower than the plan allows.
    """
    order = action("rehearse-back", by=by, device=device)
    show_answer(control(run_dir).act(order, timeout_s=ACT_TIMEOUT_S), json=json)


def _when(until: str) -> float | None:
    """Return the moment that a duration from now, or a time of day here, means."""
    if not until:
        return None
    from datetime import datetime  # noqa: PLC0415 - only this option pays for it.

    from agt.supervisor.rollout import parse_duration  # noqa: PLC0415 - as above.

    try:
        return time.time() + parse_duration(until)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(until).astimezone().timestamp()
    except ValueError:
        raise typer.BadParameter(f"{until!r} is neither a duration (3d) nor a time (2026-12-24T08:00).") from None
