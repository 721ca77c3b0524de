"""JSON of prices and conversions."""

from decimal import ROUND_DOWN, Decimal
from typing import Any

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.trades import ZERO
from sep_paper_broker.codec import TimeFormat
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.orders.execution import LIQUIDITY

Json = dict[str, Any]


def price(book: Book, quote: Quote, times: TimeFormat, *, with_units: bool = False) -> Json:
    """The JSON of a price. One that is not tradeable has closeout prices, but no bids and asks."""
    factors = book.conversion.factors(quote.instrument.split("_")[1])
    bid, ask = format(quote.bid, "f"), format(quote.ask, "f")
    shape: Json = {
        "type": "PRICE",
        "instrument": quote.instrument,
        "time": times.write(quote.time_ns),
        "status": "tradeable" if quote.tradeable else "non-tradeable",
        "tradeable": quote.tradeable,
        "bids": [{"price": bid, "liquidity": LIQUIDITY}] if quote.tradeable else [],
        "asks": [{"price": ask, "liquidity": LIQUIDITY}] if quote.tradeable else [],
        "closeoutBid": bid,
        "closeoutAsk": ask,
        "quoteHomeConversionFactors": {
            "positiveUnits": _factor(factors.gain),
            "negativeUnits": _factor(factors.loss),
        },
    }
    if with_units:
        shape["unitsAvailable"] = _units_available(book, quote)
    return shape


def home_conversion(book: Book, currency: str) -> Json:
    """The JSON of a currency's conversion factors into home currency."""
    factors = book.conversion.factors(currency)
    return {
        "currency": currency,
        "accountGain": _factor(factors.gain),
        "accountLoss": _factor(factors.loss),
        "positionValue": _factor(factors.value),
    }


def _factor(factor: Decimal) -> str:
    return format(factor.normalize(), "f")


def _units_available(book: Book, quote: Quote) -> Json:
    """The largest order in units, by position fill and side."""
    instrument = book.instruments[quote.instrument]
    factors = book.conversion.factors(instrument.quote)
    unit_margin = quote.mid * factors.value * book.margin_rate_of(quote.instrument)
    opening = (book.valuation().margin_available / unit_margin).quantize(Decimal(1), ROUND_DOWN)
    closing_long = book.side_units(quote.instrument, long=False)
    closing_short = book.side_units(quote.instrument, long=True)
    both = {"long": opening + 2 * closing_long, "short": opening + 2 * closing_short}
    only_opening = {
        "long": ZERO if closing_long else opening,
        "short": ZERO if closing_short else opening,
    }
    if book.profile.hedging_enabled:
        only_opening = {"long": opening, "short": opening}
    kinds = {
        "default": only_opening if book.profile.hedging_enabled else both,
        "reduceFirst": both,
        "reduceOnly": {"long": closing_long, "short": closing_short},
        "openOnly": only_opening,
    }
    return {
        kind: {side: format(units, "f") for side, units in sides.items()}
        for kind, sides in kinds.items()
    }
