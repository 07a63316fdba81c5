"""Where a check's counts come from: the routers themselves, or the Prometheus server that the plan names."""

from pathlib import Path

from agt.supervisor.measure import PrometheusServer, RouterSeen, measure_all, scrape_all
from agt.supervisor.rollout._durations import parse_duration
from agt.supervisor.rollout._plan import Plan


def server_of(plan: Plan) -> PrometheusServer | None:
    """Return the Prometheus server that the plan names, None where it names none."""
    settings = plan.file.measure
    if not settings.prometheus:
        return None
    return PrometheusServer(
        url=settings.prometheus,
        matchers=settings.matchers,
        max_age_s=parse_duration(settings.max_age),
        timeout_s=parse_duration(settings.timeout),
        token_file=plan.folder / settings.token_file if settings.token_file else None,
    )


async def look_at_routers(
    plan: Plan, sockets: dict[str, Path], *, at: float, timeout_s: float
) -> tuple[RouterSeen, ...]:
    """Ask for status and counts of every router; in the order of `sockets`. Never raises: `error` says what is missing.

    Args:
        plan: Says whom to ask.
        sockets: The routers' sockets by name.
        at: Seconds since the epoch.
        timeout_s: How long a router may take.
    """
    server = server_of(plan)
    if server is None:
        return await scrape_all(sockets, at=at, timeout_s=timeout_s, slow_s=plan.latency_limit_s)
    return await measure_all(server, sockets, at=at, timeout_s=timeout_s, slow_s=plan.latency_limit_s)
