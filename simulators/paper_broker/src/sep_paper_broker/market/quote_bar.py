"""A candle as a sequence of quotes, for an account that runs on candles instead of ticks."""

from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.market.quote import Quote
from sep_paper_broker.market.trigger_levels import TriggerLevels


@dataclass(frozen=True, slots=True)
class Ohlc:
    """Open, high, low and close of one side."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteBar:
    """A candle of one instrument over ``[start_ns, end_ns)``.

    The path inside the candle is unknown, so the worse case is assumed: stops are reached before
    take profits. A level inside the candle's range is quoted exactly; a level that the open is
    already beyond fills at the open.
    """

    instrument: str
    start_ns: int
    end_ns: int
    bid: Ohlc
    ask: Ohlc

    @property
    def opening(self) -> Quote:
        """The first quote."""
        return Quote(
            instrument=self.instrument, time_ns=self.start_ns, bid=self.bid.open, ask=self.ask.open
        )

    @property
    def closing(self) -> Quote:
        """The last quote."""
        return Quote(
            instrument=self.instrument, time_ns=self.end_ns, bid=self.bid.close, ask=self.ask.close
        )

    def reaching_stop(self, levels: TriggerLevels) -> Quote | None:
        """The quote at the nearest stop; None if the candle does not reach it."""
        if levels.bid_low is not None and self.bid.low <= levels.bid_low:
            return self._at_bid(levels.bid_low, self.ask.low - self.bid.low)
        if levels.ask_high is not None and self.ask.high >= levels.ask_high:
            return self._at_ask(levels.ask_high, self.ask.high - self.bid.high)
        return None

    def reaching_target(self, levels: TriggerLevels) -> Quote | None:
        """The quote at the nearest take profit; None if the candle does not reach it."""
        if levels.bid_high is not None and self.bid.high >= levels.bid_high:
            return self._at_bid(levels.bid_high, self.ask.high - self.bid.high)
        if levels.ask_low is not None and self.ask.low <= levels.ask_low:
            return self._at_ask(levels.ask_low, self.ask.low - self.bid.low)
        return None

    def _at_bid(self, bid: Decimal, spread: Decimal) -> Quote:
        return Quote(instrument=self.instrument, time_ns=self._middle, bid=bid, ask=bid + spread)

    def _at_ask(self, ask: Decimal, spread: Decimal) -> Quote:
        return Quote(instrument=self.instrument, time_ns=self._middle, bid=ask - spread, ask=ask)

    @property
    def _middle(self) -> int:
        return (self.start_ns + self.end_ns) // 2
