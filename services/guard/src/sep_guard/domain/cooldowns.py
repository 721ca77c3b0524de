"""Cooldowns of the strategy: from an exit to the next entry, and from an entry to an exit.

Times are counted in bars, as the backtest counts them: an entry or exit belongs to the start of
its bar, a signal to the end of its bar. A cycle that runs some seconds late therefore decides
the same, and a signal never acts twice: after an exit the next entry needs a later bar.
"""

from collections.abc import Iterator

from sep_guard.domain.checks import Candidate, Check, Refusal
from sep_guard.domain.limits import EntryLimits
from sep_guard.domain.market import Market, Signal
from sep_guard.domain.view import View


def check_entry_cooldown(candidate: Candidate) -> Iterator[Check]:
    """A flat instrument's last exit lies far enough before the signal."""
    market, risk = candidate.market, candidate.view.risk
    signal, limits = market.signal, candidate.limits.entry
    if signal is None or signal.params is None or market.holding.managed:
        return
    needed = max(signal.params.entry_cooldown_s, limits.bar_s)
    last = risk.last_exit_ms.get(market.instrument.name)
    waited = None if last is None else _waited_s(signal, last, limits)
    yield Check(
        Refusal.ENTRY_COOLDOWN,
        waited is None or waited >= needed,
        "no exit" if waited is None else f"{waited:g} s",
        f">= {needed} s",
    )


def may_exit_by_signal(view: View, market: Market, limits: EntryLimits) -> bool:
    """Whether a reversal or rupture may close the position; it may where nothing is known."""
    signal, entered = market.signal, view.risk.last_entry_ms.get(market.instrument.name)
    if signal is None or signal.params is None or entered is None:
        return True
    return _waited_s(signal, entered, limits) >= signal.params.exit_cooldown_s


def _waited_s(signal: Signal, since_ms: int, limits: EntryLimits) -> float:
    """Seconds from the start of the bar of ``since_ms`` to the end of the signal's bar."""
    bar_ms = limits.bar_s * 1000
    bars = (since_ms - signal.ended_ms) // bar_ms
    return -bars * bar_ms / 1000
