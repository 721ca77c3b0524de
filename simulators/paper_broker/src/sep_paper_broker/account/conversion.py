"""Conversion of amounts into the account's home currency."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.market.quote import Quote

_CASH = Decimal("0.0001")
_FACTOR = Decimal("0.000000000001")
_ONE = Decimal(1)
_BRIDGE = "USD"


class NoConversionError(LookupError):
    """No quote converts a currency into home currency."""


def cash(amount: Decimal) -> Decimal:
    """An amount of home currency, rounded to four decimals."""
    return amount.quantize(_CASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionFactors:
    """The value of one unit of a currency in home currency.

    ``gain`` and ``loss`` use the side of the quote that is worse for the client; ``value``, which
    values positions, uses the mid.
    """

    gain: Decimal
    loss: Decimal
    value: Decimal

    def of_result(self, amount: Decimal) -> Decimal:
        """A profit or loss in home currency, rounded to four decimals."""
        return cash(amount * (self.gain if amount > 0 else self.loss))

    def times(self, other: "ConversionFactors") -> "ConversionFactors":
        """The product of two conversions."""
        return ConversionFactors(
            gain=self.gain * other.gain, loss=self.loss * other.loss, value=self.value * other.value
        )

    def rounded(self) -> "ConversionFactors":
        """The factors rounded to twelve decimals."""
        return ConversionFactors(
            gain=self.gain.quantize(_FACTOR),
            loss=self.loss.quantize(_FACTOR),
            value=self.value.quantize(_FACTOR),
        )


class HomeConversion:
    """Conversion into home currency at the latest quotes.

    Args:
        home: the account's currency.
        quotes: the latest quote of each instrument; read on every call.
    """

    def __init__(self, home: str, quotes: Mapping[str, Quote]) -> None:
        self.home = home
        self._quotes = quotes

    def factors(self, currency: str) -> ConversionFactors:
        """The factors of a currency.

        Raises:
            NoConversionError: neither a pair with the home currency nor two pairs with USD have a
                quote.
        """
        if currency == self.home:
            return ConversionFactors(gain=_ONE, loss=_ONE, value=_ONE)
        direct = self._pair(currency, self.home)
        if direct is None and _BRIDGE not in (currency, self.home):
            first, second = self._pair(currency, _BRIDGE), self._pair(_BRIDGE, self.home)
            if first is not None and second is not None:
                direct = first.times(second)
        if direct is None:
            raise NoConversionError(f"no price converts {currency} into {self.home}")
        return direct.rounded()

    def _pair(self, base: str, quote: str) -> ConversionFactors | None:
        if (price := self._quotes.get(f"{base}_{quote}")) is not None:
            return ConversionFactors(gain=price.bid, loss=price.ask, value=price.mid)
        if (price := self._quotes.get(f"{quote}_{base}")) is not None:
            return ConversionFactors(
                gain=_ONE / price.ask, loss=_ONE / price.bid, value=_ONE / price.mid
            )
        return None


def instruments_to_convert(
    currencies: Iterable[str], home: str, listed: Iterable[str]
) -> frozenset[str]:
    """The listed instruments whose quotes convert the currencies into the home currency."""
    names = frozenset(listed)
    needed: set[str] = set()
    for currency in currencies:
        if currency == home:
            continue
        direct = {f"{currency}_{home}", f"{home}_{currency}"} & names
        steps = ((currency, _BRIDGE), (_BRIDGE, home))
        over = {f"{a}_{b}" for a, b in steps} | {f"{b}_{a}" for a, b in steps}
        needed |= direct or (over & names)
    return frozenset(needed)
