"""Several routers' shadows as one: the counts that a verdict goes by add up, so more routers know sooner."""

from collections import Counter
from collections.abc import Iterable

from agt.router.shadow._report import ShadowReport, TriedReport, report_tally
from agt.router.shadow._tally import Tally


def merge_reports(reports: Iterable[ShadowReport]) -> ShadowReport:
    """Return what the reports of several routers say together; of none, an empty one."""
    found = list(reports)
    tallies: dict[str, Tally] = {}
    shed: Counter[str] = Counter()
    for one in found:
        shed.update(one.shed)
        for tried in one.runtimes:
            _absorb(tallies.setdefault(tried.runtime, Tally()), tried)
    declared = max((one.declared_floor for one in found), default=0.0)
    return ShadowReport(
        tried=next((one.tried for one in found if one.tried), ""),
        declared_floor=declared,
        runtimes=tuple(report_tally(name, tally, declared) for name, tally in sorted(tallies.items())),
        reads=sum(one.reads for one in found),
        writes=sum(one.writes for one in found),
        decided=sum(one.decided for one in found),
        shed=dict(sorted(shed.items())),
        timed_out=sum(one.timed_out for one in found),
        void=sum(one.void for one in found),
        stray_replies=sum(one.stray_replies for one in found),
        held=sum(one.held for one in found),
        expired=tuple(dict.fromkeys(line for one in found for line in one.expired)),
    )


def _absorb(tally: Tally, tried: TriedReport) -> None:
    for name in ("compared", "differences", "ignored", "errors", "paired", "floor_differences"):
        setattr(tally, name, getattr(tally, name) + getattr(tried, name))
    tally.has_floor = tally.has_floor or tried.has_floor
    tally.only_tried += tried.only_tried
    tally.only_floor += tried.only_floor
    for row in sorted(tried.fields, key=lambda row: (row.place, row.field)):
        field = tally.field(row.field, differed=bool(row.place))
        for name in ("differences", "floor_differences", "ignored", "only_tried", "only_floor"):
            setattr(field, name, getattr(field, name) + getattr(row, name))
        if row.mean_delta is not None and row.max_delta is not None:
            field.deltas += row.numbers
            field.delta_sum += row.mean_delta * row.numbers
            field.delta_max = max(field.delta_max, row.max_delta, key=abs)
        field.examples.extend(row.examples)
