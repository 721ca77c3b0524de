"""Instruments, candles, calendar and sessions."""

from typing import ClassVar

from pydantic import Field
from sep_fx.granularity import Granularity
from sep_fx.sessions import MarketCalendar

from sep_kit.settings.fields import InstrumentNames, Knobs
from sep_kit.settings.relations import Relation

_DAY_S = 86_400


class MarketKnobs(Knobs):
    """Instruments and trading hours."""

    relations: ClassVar[tuple[Relation, ...]] = (
        Relation(
            names=("market_calendar",),
            holds=lambda calendar: calendar is not MarketCalendar.ALWAYS,
            sentence="24x7 is for simulation: it trades into the close of the FX week",
        ),
        Relation(
            names=("candle_granularity", "market_calendar"),
            holds=lambda bar, calendar: bar.seconds < _DAY_S or calendar is not MarketCalendar.FX,
            sentence="the FX week has no bar for some of its days; use bars shorter than a day",
        ),
        Relation(
            names=("session_trading_enabled",),
            holds=bool,
            sentence="without session gating positions are opened at any hour; set it to 1",
        ),
        Relation(
            names=("session_exit_minutes",),
            holds=lambda minutes: minutes > 0,
            sentence="nothing is closed before a session ends; set at least 1",
        ),
    )

    hotband_pairs: InstrumentNames = (
        "EUR_USD",
        "USD_JPY",
        "GBP_USD",
        "EUR_JPY",
        "USD_CAD",
        "NZD_USD",
        "AUD_USD",
        "USD_CHF",
    )
    """Traded instruments, separated by commas."""
    candle_granularity: Granularity = Granularity.M1
    """Length of the bars that metrics are computed from."""
    market_calendar: MarketCalendar = MarketCalendar.FX
    """`fx`: the FX week. `24x7`: the market is always open (simulation)."""
    session_trading_enabled: bool = True
    """`0` disables session gating."""
    session_exit_minutes: float = Field(5, ge=0, le=240, allow_inf_nan=False)
    """Minutes before the close of a session at which gates close and positions are flattened."""
