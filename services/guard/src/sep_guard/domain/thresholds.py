"""Thresholds in force: the guard's own, or those that the gate was judged by where stricter."""

from dataclasses import replace
from decimal import Decimal

from sep_guard.domain.limits import EntryLimits
from sep_guard.domain.market import Signal


def in_force(limits: EntryLimits, signal: Signal | None) -> EntryLimits:
    """The stricter of the guard's limits and the signal's parameters, value by value.

    They bind exits by rupture too: a position is never held through what would forbid its entry.
    """
    params = signal.params if signal else None
    if params is None:
        return limits
    return replace(
        limits,
        min_coherence=max(limits.min_coherence, params.c_min),
        min_stability=max(limits.min_stability, params.min_stability),
        max_rupture=min(limits.max_rupture, params.max_rupture),
        max_entropy=min(limits.max_entropy, params.max_entropy),
        max_spread_bps=widest_spread_bps(limits, signal),
    )


def widest_spread_bps(limits: EntryLimits, signal: Signal | None) -> Decimal:
    """The widest spread at which an entry passes, in basis points of the mid."""
    params = signal.params if signal else None
    if params is None:
        return limits.max_spread_bps
    return min(limits.max_spread_bps, params.max_spread_bps)
