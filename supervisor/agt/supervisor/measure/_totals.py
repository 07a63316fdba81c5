"""Adding and subtracting counters: what all routers together have counted since we started to look."""

from itertools import zip_longest
from typing import Final

import msgspec

from agt.supervisor.measure._sample import RouterSample, RuntimeCounters, ShadowCounters

_NUMBERS: Final = tuple(field.name for field in msgspec.structs.fields(RuntimeCounters) if field.type is float)
_SHADOW: Final = tuple(field.name for field in msgspec.structs.fields(ShadowCounters))


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of all routers, restarts of a router included, by runtime."""

    at: float
    counters: dict[str, RuntimeCounters] = {}
    shadow: ShadowCounters = ShadowCounters()

    def of(self, runtime: str) -> RuntimeCounters:
        """Return the runtime's counts, zeros for one that has none."""
        return self.counters.get(runtime, _ZERO)


_ZERO: Final = RuntimeCounters()


def grown(totals: Totals, old: RouterSample, new: RouterSample) -> Totals:
    """Return the totals with what one router counted between two samples of it.

    A restarted router may count from zero (its transports) or go on from its journal (its ledger); both are seen
    by whether a counter fell, so the instance doesn't matter here.
    """
    counters = dict(totals.counters)
    for runtime, now in new.counters.items():
        counters[runtime] = plus(totals.of(runtime), increase(old.counters.get(runtime, _ZERO), now))
    return Totals(
        at=new.at,
        counters=counters,
        shadow=_shadow_plus(totals.shadow, shadow_increase(old.shadow, new.shadow)),
    )


def increase(old: RuntimeCounters, new: RuntimeCounters) -> RuntimeCounters:
    """Return what was counted between two readings; a counter that fell started again at zero."""
    return RuntimeCounters(
        **{name: _step(getattr(old, name), getattr(new, name)) for name in _NUMBERS},
        latency={bound: _step(old.latency.get(bound, 0.0), count) for bound, count in new.latency.items()},
        group_ended=_steps(old.group_ended, new.group_ended),
        group_bad=_steps(old.group_bad, new.group_bad),
    )


def shadow_increase(old: ShadowCounters, new: ShadowCounters) -> ShadowCounters:
    """Return what was counted of mirrored messages between two readings; as for `increase`."""
    return ShadowCounters(**{name: _step(getattr(old, name), getattr(new, name)) for name in _SHADOW})


def _shadow_plus(one: ShadowCounters, other: ShadowCounters) -> ShadowCounters:
    return ShadowCounters(**{name: getattr(one, name) + getattr(other, name) for name in _SHADOW})


def plus(one: RuntimeCounters, other: RuntimeCounters) -> RuntimeCounters:
    """Return the sum of two counts."""
    bounds = sorted({*one.latency, *other.latency})
    return RuntimeCounters(
        **{name: getattr(one, name) + getattr(other, name) for name in _NUMBERS},
        latency={bound: one.latency.get(bound, 0.0) + other.latency.get(bound, 0.0) for bound in bounds},
        group_ended=_sums(one.group_ended, other.group_ended),
        group_bad=_sums(one.group_bad, other.group_bad),
    )


def _steps(old: tuple[float, ...], new: tuple[float, ...]) -> tuple[float, ...]:
    pairs = zip_longest(old[: len(new)], new, fillvalue=0.0)
    return tuple(_step(before, now) for before, now in pairs)


def _sums(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(left + right for left, right in zip_longest(one, other, fillvalue=0.0))


def _step(old: float, new: float) -> float:
    return new - old if new >= old else new
