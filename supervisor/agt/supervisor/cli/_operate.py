"""What an operator asks of a running supervisor, one command an action.

Going forward names the version of the view that it was based on: the command looks, acts, and is refused when something
changed in between. Going back asks for nothing.
"""

import time
from typing import Annotated, Any, Final

import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import Control
from agt.supervisor.actions import Action, ActionName, is_step
from agt.supervisor.cli._options import By, Json, Reason, RunDir, action, control, print_json, run_directory
from agt.supervisor.view import Preview, Receipt, View

DOWN_TIMEOUT_S = 120.0
"""Stopping takes each component's grace, one stage after the other."""
DOWN_POLL_S = 0.02
ACT_TIMEOUT_S = 30.0
"""A move may have to drain before it is confirmed."""

SIGNS: Final = ": agt sign-off "
"""What the reason of a gate that waits for a signature has in it."""
_ON_OFF: Final = {"on": True, "true": True, "off": False, "false": False}
MODES: Final = ("auto", "datacenter", "hybrid", "internet")
"""What `agt set mode` takes; `auto` is the measured one."""
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (advance, hold, resume, rollback, override, drill, down):
        app.command()(command)
    app.command("set")(set_value)
    app.command("sign-off")(sign_off)
    app.command("record-cause")(record_cause)


def advance(
    reason: Reason = "", dry_run: DryRun = False, by: By = "", run_dir: RunDir = None, json: Json = False
) -> None:
    """Go to the next phase. With open gates it takes a --reason, which is recorded."""
    _forward(control(run_dir), "advance", dry_run=dry_run, json=json, by=by, reason=reason)


def hold(reason: Reason = "", by: By = "", run_dir: RunDir = None, json: Json = False) -> None:
    """Stay where it is until told to resume."""
    _act(control(run_dir), action("hold", by=by, reason=reason), json=json)


def resume(reason: Reason = "", by: By = "", run_dir: RunDir = None, json: Json = False) -> None:
    """Go on after a hold, or after a rollback whose cause is recorded."""
    _forward(control(run_dir), "resume", dry_run=False, json=json, by=by, reason=reason)


def rollback(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; recorded.")],
    to: Annotated[str, typer.Option("--to", metavar="PHASE", help="An earlier phase. [default: all on control]")] = "",
    component: Annotated[str, typer.Option("--component", metavar="NAME", help="Only this component.")] = "",
    cohort: Annotated[
        list[str] | None,
        typer.Option("--cohort", metavar="MEMBER", help="Only this member of the cohort; again for more; all for all."),
    ] = None,
    dry_run: DryRun = False,
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Go back to control, or to an earlier phase, or only in part. Needs no version, no disk and no queue."""
    if sum(map(bool, (to, component, cohort))) > 1:
        raise typer.BadParameter("give one of --to, --component and --cohort.")
    asked = action("rollback", by=by, reason=reason, to=to, component=component, cohort=tuple(cohort or ()))
    api = control(run_dir)
    if dry_run:
        show_answer(api.preview(asked), json=json)
    else:
        _act(api, asked, json=json)


def set_value(
    what: Annotated[str, typer.Argument(metavar="percentage|devices|components.NAME|mode", help="What to set.")],
    value: Annotated[
        str, typer.Argument(help="0 to 100 in steps of 0.01; a number of devices; on or off; a network mode or auto.")
    ],
    lasts: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long a forced mode lasts. [default: for ever]")
    ] = "",
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Set what the candidate carries: a percentage, exactly so many devices, or a component; holds the rollout.

    `set mode internet` forces the network mode, `set mode auto` lets the measured one count; the rollout goes on.
    """
    kind, fields = _setting(what, value)
    if lasts:
        if kind != "mode" or value == "auto":
            raise typer.BadParameter("--for is for a forced mode.")
        fields["expires_at"] = _until(lasts)
    api = control(run_dir)
    if fields.get("on") is False and not dry_run:
        _act(api, action(kind, by=by, reason=reason, **fields), json=json)
    else:
        _forward(api, kind, dry_run=dry_run, json=json, by=by, reason=reason, **fields)


def _setting(what: str, value: str) -> tuple[ActionName, dict[str, Any]]:
    """Return the action that a setting is."""
    table, _, component = what.partition(".")
    if table == "components" and component:
        if value not in _ON_OFF:
            raise typer.BadParameter(f"{value!r} is neither on nor off.")
        return "component", {"name": component, "on": _ON_OFF[value]}
    if what == "percentage":
        return "set", {"percentage": _percentage(value)}
    if what == "devices":
        if not (value.isascii() and value.isdigit()):
            raise typer.BadParameter(f"{value!r} is no number of devices.")
        return "set", {"devices": int(value)}
    if what == "mode":
        if value not in MODES:
            raise typer.BadParameter(f"{value!r} is no network mode; there are {', '.join(MODES)}.")
        return "mode", {"name": value}
    raise typer.BadParameter(f"there is no {what!r} to set; there are percentage, devices, components.NAME and mode.")


def _percentage(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise typer.BadParameter(f"{text!r} is no percentage from 0 to 100.")
    if not is_step(number):
        raise typer.BadParameter(f"{text!r} is finer than steps of 0.01; devices move in these.")
    return number


def override(
    device: Annotated[str, typer.Argument(help="The device's id.")],
    side: Annotated[str, typer.Argument(metavar="control|candidate|none", help="Where to; none ends it.")],
    lasts: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long (2h, 3d). [default: for ever]")
    ] = "",
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Force one device to one side, with an owner and a reason, or end that; the rollout goes on."""
    if side not in ("control", "candidate", "none"):
        raise typer.BadParameter(f"{side!r} is none of control, candidate, none.")
    fields: dict[str, Any] = {"device": device, "side": "" if side == "none" else side, "expires_at": _until(lasts)}
    api = control(run_dir)
    if side == "control" and not dry_run:
        _act(api, action("override", by=by, reason=reason, **fields), json=json)
    else:
        _forward(api, "override", dry_run=dry_run, json=json, by=by, reason=reason, **fields)


def _until(lasts: str) -> float | None:
    if not lasts:
        return None
    from agt.supervisor.rollout import parse_duration  # noqa: PLC0415 - only this option pays for it.

    try:
        return time.time() + parse_duration(lasts)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None


def sign_off(
    gate: Annotated[str, typer.Argument(help="The gate's name, or who signs. [default: say what waits]")] = "",
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who signs; recorded as claimed.")] = "",
    reason: Reason = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Sign a gate of the active phase off; without a gate, say which ones wait for a signature."""
    api = control(run_dir)
    if not gate:
        waiting = waiting_for_signature(api.view())
        typer.echo("\n".join(waiting) or "nothing waits for a signature")
        return
    if not by:
        raise typer.BadParameter("say who signs: --by NAME.")
    _forward(api, "sign-off", dry_run=False, json=json, by=by, reason=reason, name=gate)


def waiting_for_signature(view: View) -> list[str]:
    """Return a line for each gate of the active phase that nobody has signed."""
    return [f"{gate.name}: {gate.reason}" for gate in view.gates if gate.verdict == "pending" and SIGNS in gate.reason]


def record_cause(
    cause: Annotated[str, typer.Argument(help="What went wrong, in a sentence.")],
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Record why it went back; before that, nothing goes forward again."""
    _act(control(run_dir), action("record-cause", by=by, reason=cause), json=json)


def drill(
    name: Annotated[str, typer.Argument(help="The drill's name, as the plan gives it.")],
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Run a drill of the plan: break something on purpose."""
    _act(control(run_dir), action("drill", by=by, name=name), json=json)


def down(by: By = "", run_dir: RunDir = None, json: Json = False) -> None:
    """Stop every component in reverse order, then the supervisor; return when all are gone."""
    run = run_directory(run_dir)
    receipt = Control(run.control).act(action("down", by=by))
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while (pid := run.supervisor_pid()) is not None:
        if time.monotonic() > deadline:
            raise SupervisorError(f"it is still stopping after {DOWN_TIMEOUT_S:g} s (pid {pid})", f"see {run.log}")
        time.sleep(DOWN_POLL_S)
    show_answer(receipt, json=json)


def _forward(api: Control, kind: ActionName, /, *, dry_run: bool, json: bool, **fields: Any) -> None:
    asked = action(kind, version=api.view().version, **fields)
    if dry_run:
        show_answer(api.preview(asked), json=json)
    else:
        _act(api, asked, json=json)


def _act(api: Control, asked: Action, *, json: bool) -> None:
    show_answer(api.act(asked, timeout_s=ACT_TIMEOUT_S), json=json)


def show_answer(answer: Receipt | Preview, *, json: bool) -> None:
    """Print what came of an action, or what would."""
    if json:
        print_json(answer)
        return
    typer.echo(answer.says)
    if isinstance(answer, Preview):
        typer.echo("".join(f"{line}\n" for line in preview_lines(answer)), nl=False)
    if isinstance(answer, Receipt):
        times = {"routed": answer.routed_ms, "settled": answer.settled_ms}
        said = [f"{word} in {ms:.0f} ms" for word, ms in times.items() if ms is not None]
        if said:
            typer.echo(", ".join(said))
        if answer.missing:
            typer.echo(f"not confirmed by {', '.join(answer.missing)}")


def preview_lines(preview: Preview) -> list[str]:
    """Write down what a preview knows beside its sentence."""
    if not preview.moves and not preview.waiting:
        return []
    ways = {"to the candidate": preview.to_candidate, "to control": preview.to_control, **preview.by_kind}
    lines = [", ".join(f"{count:,} {word}" for word, count in ways.items() if count)]
    if preview.in_flight:
        lines.append(f"{preview.in_flight:,} in flight, of which up to {preview.unconfirmed:,} can't be confirmed")
    if preview.waiting:
        lines.append(f"{preview.waiting:,} stay on control until their attachment to the candidate is up")
    if preview.devices:
        more = preview.moves - len(preview.devices)
        lines.append(f"devices: {', '.join(preview.devices)}{f', and {more:,} more' if more > 0 else ''}")
    return [line for line in lines if line]
