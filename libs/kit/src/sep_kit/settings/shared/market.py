"""Instruments, candles, calendar and sessions."""

from pydantic import Field
from sep_fx.granularity import Granularity
from sep_fx.sessions import MarketCalendar

from sep_kit.settings.fields import InstrumentNames, Knobs


class MarketKnobs(Knobs):
    """Instruments and trading hours."""

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
