"""Each limit with what is observed, what is allowed, and how much is left."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from sep_guard.domain.market import ZERO, Market
from sep_guard.domain.risk import activity, equity
from sep_guard.domain.risk.exposure import exposure_of, largest_currency
from sep_guard.domain.risk.limits import LimitName, RiskLimits
from sep_guard.domain.risk.locks import LockCause, active
from sep_guard.domain.risk.price_reference import collar_bps, deviation_bps
from sep_guard.domain.risk.state import RiskState

_PERCENT = Decimal(100)


class LimitState(StrEnum):
    """How a limit stands."""

    OK = "ok"
    REACHED = "reached"
    TRIPPED = "tripped"
    LOCKED = "locked"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """One limit. Figures are in the unit of its knob.

    Attributes:
        observed: the largest value of any instrument or currency; None where unknown.
        headroom: share of the limit that is left, 0 to 1; None where unknown.
        subject: the instrument or currency that ``observed`` belongs to; empty for the account.
    """

    limit: LimitName
    unit: str
    observed: Decimal | None
    allowed: Decimal
    headroom: Decimal | None
    state: LimitState
    subject: str = ""


def limit_rows(
    markets: Iterable[Market],
    state: RiskState | None,
    nav: Decimal,
    limits: RiskLimits,
    now_ms: int,
) -> tuple[LimitRow, ...]:
    """Every limit, in the order of ``LimitName``.

    Args:
        state: None where it can't be read: the limits that rest on it are unreadable then.
    """
    held, known = tuple(markets), state or RiskState()
    found = {
        **_losses(known, limits),
        **_activity(known, nav, limits, now_ms),
        **_exposure(held, nav, limits),
        LimitName.REFERENCE_PRICE: _reference(held, limits),
    }
    return tuple(_marked(found[name], known, now_ms) for name in LimitName)


def _losses(state: RiskState, limits: RiskLimits) -> dict[LimitName, LimitRow]:
    read = state.equity
    loss = None if read is None else equity.daily_loss(read) * _PERCENT
    fall = None if read is None else equity.drawdown(read) * _PERCENT
    return {
        LimitName.DAILY_LOSS: _row(
            LimitName.DAILY_LOSS, "percent of NAV", loss, limits.max_daily_loss * _PERCENT
        ),
        LimitName.DRAWDOWN: _row(
            LimitName.DRAWDOWN, "percent of NAV", fall, limits.max_drawdown * _PERCENT
        ),
    }


def _activity(
    state: RiskState, nav: Decimal, limits: RiskLimits, now_ms: int
) -> dict[LimitName, LimitRow]:
    counts = state.activity
    turnover = None if counts is None else activity.turnover(counts, nav)
    names = () if counts is None else sorted(counts.instruments)
    entries = [(activity.entries_last_hour(counts, i, now_ms), i) for i in names if counts]
    rejects = [(counts.of(i).refusals, i) for i in names if counts]
    stops = [(counts.of(i).stops_today, i) for i in names if counts]
    found = {LimitName.TURNOVER: _row(LimitName.TURNOVER, "NAVs", turnover, limits.max_turnover)}
    for name, unit, seen, allowed in (
        (LimitName.ORDER_RATE, "entries an hour", entries, limits.max_entries_per_hour),
        (LimitName.REJECTS, "in a row", rejects, limits.max_equal_rejects),
        (LimitName.STOP_OUTS, "a day", stops, limits.max_stops_per_day),
    ):
        count, subject = max(seen, default=(0, ""))
        observed = None if counts is None else Decimal(count)
        found[name] = _row(name, unit, observed, Decimal(allowed), subject if count else "")
    return found


def _exposure(
    markets: tuple[Market, ...], nav: Decimal, limits: RiskLimits
) -> dict[LimitName, LimitRow]:
    exposure = exposure_of(markets)
    usable = nav.is_finite() and nav > 0 and not exposure.unvalued
    currency, net = largest_currency(exposure)
    gross_x = exposure.gross / nav if usable else None
    net_x = net / nav if usable else None
    at_stop, instrument = _largest_stop(markets, nav if usable else None)
    return {
        LimitName.LOSS_AT_STOP: _row(
            LimitName.LOSS_AT_STOP,
            "percent of NAV",
            at_stop,
            limits.max_loss_per_trade * _PERCENT,
            instrument,
        ),
        LimitName.LEVERAGE: _row(LimitName.LEVERAGE, "NAVs", gross_x, limits.max_leverage),
        LimitName.CURRENCY: _row(
            LimitName.CURRENCY, "NAVs", net_x, limits.max_currency_leverage, currency
        ),
    }


def _largest_stop(markets: tuple[Market, ...], nav: Decimal | None) -> tuple[Decimal | None, str]:
    """Largest loss of a managed position at the stop that an entry would have now, in percent."""
    if nav is None:
        return None, ""
    losses = [(ZERO, "")]
    for market in markets:
        bracket = market.signal.bracket if market.signal else None
        if market.holding.managed and bracket is not None and market.home_per_quote:
            loss = abs(market.holding.managed) * bracket.stop * market.home_per_quote
            losses.append((loss / nav * _PERCENT, market.instrument.name))
    return max(losses)


def _reference(markets: tuple[Market, ...], limits: RiskLimits) -> LimitRow:
    """The quote that is furthest off, as a share of its own collar."""
    worst: tuple[Decimal, Decimal, Decimal, str] | None = None
    for market in markets:
        if market.quote is None:
            continue
        off = deviation_bps(market.quote.mid, market.references)
        if off is None:
            continue
        allowed = collar_bps(market.references, limits.price_collar_bps)
        found = (off / allowed, off, allowed, market.instrument.name)
        worst = found if worst is None else max(worst, found)
    if worst is None:
        return _row(LimitName.REFERENCE_PRICE, "basis points", None, limits.price_collar_bps)
    _, off, allowed, name = worst
    return _row(LimitName.REFERENCE_PRICE, "basis points", off, allowed, name)


def _row(
    limit: LimitName, unit: str, observed: Decimal | None, allowed: Decimal, subject: str = ""
) -> LimitRow:
    if observed is None:
        return LimitRow(
            limit=limit,
            unit=unit,
            observed=None,
            allowed=allowed,
            headroom=None,
            state=LimitState.UNREADABLE,
        )
    headroom = max(ZERO, min(Decimal(1), 1 - observed / allowed))
    return LimitRow(
        limit=limit,
        unit=unit,
        observed=observed,
        allowed=allowed,
        headroom=headroom,
        state=LimitState.REACHED if headroom == 0 else LimitState.OK,
        subject=subject,
    )


def _marked(row: LimitRow, state: RiskState, now_ms: int) -> LimitRow:
    """The row with the breaker or a lock that this limit brought about."""
    verdict = row.state
    if state.trip is not None and state.trip.cause.value == row.limit.value:
        verdict = LimitState.TRIPPED
    elif any(
        lock.cause.value == row.limit.value
        for lock in active(state.locks, now_ms)
        if lock.cause is not LockCause.MANUAL
    ):
        verdict = LimitState.LOCKED
    if verdict is row.state:
        return row
    return replace(row, state=verdict)
