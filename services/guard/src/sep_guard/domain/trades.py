"""Open trades by id, and what is held by instrument."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sep_guard.domain.market import ZERO, Holding, LeftOut, Trade

EVERY_INSTRUMENT = "*"
"""Instrument of a trade that could not be read at all: it may be of any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTrades:
    """The account's open trades at one transaction, oldest first.

    ``left_out`` are trades that can't be read: they may hold units.
    """

    trades: tuple[Trade, ...] = ()
    last_transaction_id: str = ""
    left_out: tuple[LeftOut, ...] = ()


def holdings_of(found: OpenTrades) -> Mapping[str, Holding]:
    """What is held, by instrument, one with a trade that can't be read included."""
    names = {t.instrument for t in found.trades}
    names |= {m.instrument for m in found.left_out if m.instrument != EVERY_INSTRUMENT}
    return {name: holding_of(name, found) for name in sorted(names)}


def holding_of(instrument: str, found: OpenTrades) -> Holding:
    """What is held of one instrument."""
    trades = tuple(t for t in found.trades if t.instrument == instrument)
    by_hand = [t.units for t in trades if not t.own]
    return Holding(
        managed=_sum(t.units for t in trades if t.own),
        manual=_sum(by_hand),
        manual_gross=_sum(map(abs, by_hand)),
        trades=trades,
        left_out=tuple(m for m in found.left_out if m.instrument in (instrument, EVERY_INSTRUMENT)),
    )


def _sum(units: Iterable[Decimal]) -> Decimal:
    return sum(units, ZERO)
