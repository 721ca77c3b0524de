"""The market interface of the broker: ticks by time, opening hours, quotes."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from sep_fx.instants import NS_PER_SECOND
from sep_fx.instrument import Instrument

from sep_paper_broker.market.quote import Quote
from sep_paper_broker.market.ticks import Ticks

HOUR = 3600
# How far back the last price is searched for: across a weekend with a holiday on either side.
_LOOK_BACK_HOURS = 24 * 6


class Market(Protocol):
    """Prices as a function of time: the same call always returns the same values."""

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The instruments that have prices, by name."""
        ...

    def hour(self, instrument: str, hour: int) -> Ticks:
        """The ticks of an instrument in ``[hour * 3600, (hour + 1) * 3600)`` seconds."""
        ...

    def is_open(self, instrument: str, at_s: int) -> bool:
        """Whether the instrument trades at the time."""
        ...

    def begins(self, instrument: str) -> int:
        """The start of the instrument's history, in seconds since the epoch."""
        ...


def ticks_between(market: Market, instrument: str, start_s: int, stop_s: int) -> Ticks:
    """An instrument's ticks of ``[start_s, stop_s)``."""
    if stop_s <= start_s:
        return Ticks.empty()
    hours = range(start_s // HOUR, (stop_s - 1) // HOUR + 1)
    return Ticks.concatenate([market.hour(instrument, h) for h in hours]).between(start_s, stop_s)


def quote_at(market: Market, instrument: str, at_ns: int) -> Quote | None:
    """The last quote at or before ``at_ns``; None if there is none within the look-back.

    While the market is closed it is the last quote before the close, not tradeable.
    """
    at_s = at_ns // NS_PER_SECOND
    precision = market.instruments[instrument].display_precision
    newest = at_s // HOUR
    for hour in range(newest, newest - _LOOK_BACK_HOURS, -1):
        ticks = market.hour(instrument, hour)
        index = int(ticks.time.searchsorted(at_s, "right")) - 1
        if index >= 0:
            return Quote(
                instrument=instrument,
                time_ns=int(ticks.time[index]) * NS_PER_SECOND,
                bid=Decimal(int(ticks.bid[index])).scaleb(-precision),
                ask=Decimal(int(ticks.ask[index])).scaleb(-precision),
                tradeable=market.is_open(instrument, at_s),
            )
    return None
