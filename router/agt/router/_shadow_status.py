"""The shadow's part of a router's status: the counts, and what they say of the runtime that is tried out."""

import msgspec

from agt.router._status import ShadowStatus
from agt.router.shadow import Shadow, summary


def shadow_status(shadow: Shadow) -> ShadowStatus:
    """Return the shadow at this instant; the counts of comparisons are those of the runtime tried out last."""
    counts, tried = shadow.counts, summary(shadow)
    status = ShadowStatus(
        decided=counts.decided,
        shed=sum(counts.shed.values()),
        reads=counts.reads,
        writes=counts.writes,
        timed_out=counts.timed_out,
        held=shadow.held,
    )
    if tried is None:
        return status
    return msgspec.structs.replace(
        status,
        tried=tried.runtime,
        compared=tried.compared,
        differences=tried.differences,
        errors=tried.errors,
        error_rate=tried.error_rate,
        floor_rate=tried.floor_rate,
        excess=tried.excess,
        verdict=tried.verdict.value,
        says=tried.says,
        more=tried.more,
    )
