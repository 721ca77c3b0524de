"""Costs of trades, added up by group."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from sep_fx.sessions import SessionCalendar

from sep_journal.domain.days import NEW_YORK
from sep_journal.domain.exact import ZERO, total
from sep_journal.domain.trades import CostParts

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SESSIONS = SessionCalendar()
_NO_SESSION = "none"


class GroupBy(StrEnum):
    """The groups that costs are added up in; of a time, that of the trade's opening."""

    INSTRUMENT = "instrument"
    HOUR = "hour"
    SESSION = "session"
    WEEKDAY = "weekday"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeCosts:
    """One trade's result in parts, with what it is grouped by."""

    instrument: str
    open_ms: int
    parts: CostParts


@dataclass(frozen=True, slots=True, kw_only=True)
class CostGroup:
    """The sums of a group's trades."""

    group: str
    trades: int
    net_pl: Decimal
    parts: CostParts


def group_costs(trades: Iterable[TradeCosts], by: GroupBy) -> list[CostGroup]:
    """Sums by group, in the order of the groups' names; weekdays from Monday on."""
    counts: dict[str, int] = {}
    sums: dict[str, CostParts] = {}
    for trade in trades:
        group = group_of(trade, by)
        counts[group] = counts.get(group, 0) + 1
        sums[group] = _added(sums.get(group, CostParts()), trade.parts)
    order = _WEEKDAYS.index if by is GroupBy.WEEKDAY else str
    return [
        CostGroup(group=group, trades=counts[group], net_pl=sums[group].sum, parts=sums[group])
        for group in sorted(sums, key=order)
    ]


def group_of(trade: TradeCosts, by: GroupBy) -> str:
    """The name of a trade's group: hours in UTC, weekdays in New York.

    The session is every one that was open, such as ``London+New York``.
    """
    if by is GroupBy.INSTRUMENT:
        return trade.instrument
    opened = datetime.fromtimestamp(trade.open_ms / 1000, UTC)
    if by is GroupBy.HOUR:
        return f"{opened.hour:02d}"
    if by is GroupBy.WEEKDAY:
        return _WEEKDAYS[opened.astimezone(NEW_YORK).weekday()]
    if not trade.instrument:
        return _NO_SESSION
    return "+".join(_SESSIONS.state(trade.instrument, trade.open_ms // 1000).active) or _NO_SESSION


def _added(one: CostParts, other: CostParts) -> CostParts:
    return CostParts(
        **{
            field.name: total((getattr(one, field.name), getattr(other, field.name), ZERO))
            for field in fields(CostParts)
        }
    )
