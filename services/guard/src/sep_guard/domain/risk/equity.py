"""Daily loss and drawdown, measured on a unit value that transfers do not move.

The account is treated as a fund: its unit value starts at 1 and changes by
``(nav - transfers) / previous nav`` from reading to reading. A deposit or withdrawal changes NAV
and leaves the unit value alone, so it never trips a limit; a loss after a withdrawal counts
against the smaller account, so a withdrawal never hides one. So that a deposit hides none either,
the loss is also measured in money, against the NAV that the day or the peak had; the larger of the
two counts.
"""

from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.limits import LimitName, RiskLimits
from sep_guard.domain.risk.trading_day import day_before_close_ms

_ONE = Decimal(1)
_UNIT_STEP = Decimal("1e-15")


class EquityFault(StrEnum):
    """Equity that no limit can be measured on, and that halts trading."""

    NOT_A_NUMBER = "NAV is not a number"
    NOT_POSITIVE = "NAV is zero or negative"


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityState:
    """What is remembered between readings.

    Attributes:
        nav: NAV of the last reading, in home currency.
        read_ms: time of the last reading.
        unit_value: growth since the state began, transfers taken out.
        day_start_ms: 17:00 New York that the day's baseline belongs to.
        day_unit_value: unit value that the day's loss is measured from.
        day_nav: NAV of the same reading.
        day_transfers: cash moved in and out since then.
        peak_unit_value: highest unit value since the last acknowledgement.
        peak_nav: NAV at that peak.
        peak_transfers: cash moved in and out since then.
    """

    nav: Decimal
    read_ms: int
    unit_value: Decimal
    day_start_ms: int
    day_unit_value: Decimal
    day_nav: Decimal
    peak_unit_value: Decimal
    peak_nav: Decimal
    day_transfers: Decimal = ZERO
    peak_transfers: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityBreach:
    """A loss limit that was passed; shares such as 0.02."""

    limit: LimitName
    observed: Decimal
    allowed: Decimal


def fault_of(nav: Decimal) -> EquityFault | None:
    """Why a NAV that was read can't be right; None when it can."""
    if not nav.is_finite():
        return EquityFault.NOT_A_NUMBER
    return EquityFault.NOT_POSITIVE if nav <= 0 else None


def begin(nav: Decimal, now_ms: int) -> EquityState:
    """Baselines made from a first reading of a sound NAV."""
    return EquityState(
        nav=nav,
        read_ms=now_ms,
        unit_value=_ONE,
        day_start_ms=day_before_close_ms(now_ms),
        day_unit_value=_ONE,
        day_nav=nav,
        peak_unit_value=_ONE,
        peak_nav=nav,
    )


def read(state: EquityState, nav: Decimal, transfers: Decimal, now_ms: int) -> EquityState:
    """The state after a reading of a sound NAV.

    The day's baseline is the last reading at or before 17:00 New York: a reading at that very
    millisecond still counts against the day that it ends. A clock that was set back leaves the
    day as it is.

    Args:
        transfers: cash moved in (above 0) and out since the reading before.
    """
    day = day_before_close_ms(now_ms)
    if day > state.day_start_ms:
        state = replace(
            state,
            day_start_ms=day,
            day_unit_value=state.unit_value,
            day_nav=state.nav,
            day_transfers=ZERO,
        )
    growth = max(Decimal(0), nav - transfers) / state.nav
    unit_value = (state.unit_value * growth).quantize(_UNIT_STEP, ROUND_DOWN)
    at_peak = unit_value >= state.peak_unit_value
    return replace(
        state,
        nav=nav,
        read_ms=max(state.read_ms, now_ms),
        unit_value=unit_value,
        peak_unit_value=unit_value if at_peak else state.peak_unit_value,
        peak_nav=nav if at_peak else state.peak_nav,
        day_transfers=state.day_transfers + transfers,
        peak_transfers=ZERO if at_peak else state.peak_transfers + transfers,
    )


def daily_loss(state: EquityState) -> Decimal:
    """Loss since 17:00 New York as a share of NAV then; 0 while there is a gain."""
    lost = state.day_nav + state.day_transfers - state.nav
    return max(_fall(state.day_unit_value, state.unit_value), lost / state.day_nav)


def drawdown(state: EquityState) -> Decimal:
    """Fall from the peak since the last acknowledgement, as a share of it."""
    lost = state.peak_nav + state.peak_transfers - state.nav
    return max(_fall(state.peak_unit_value, state.unit_value), lost / state.peak_nav)


def breach(state: EquityState, limits: RiskLimits) -> EquityBreach | None:
    """The first loss limit that is reached or passed; None while all hold."""
    measured = (
        (LimitName.DAILY_LOSS, daily_loss(state), limits.max_daily_loss),
        (LimitName.DRAWDOWN, drawdown(state), limits.max_drawdown),
    )
    for limit, observed, allowed in measured:
        if observed >= allowed:
            return EquityBreach(limit=limit, observed=observed, allowed=allowed)
    return None


def _fall(start: Decimal, now: Decimal) -> Decimal:
    # A unit value of 0 stays 0: all was lost, or withdrawn, and nothing can be measured on it.
    return _ONE if start <= 0 else max(Decimal(0), _ONE - now / start)
