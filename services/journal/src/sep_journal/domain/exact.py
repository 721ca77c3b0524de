"""Exact arithmetic on money: a sum is never rounded, and an estimate says that it is one."""

from collections.abc import Iterable
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

ZERO = Decimal(0)

# Enough for the largest amount with the finest digits; a result that does not fit raises.
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation, Overflow])
_ROUNDED = Context(
    prec=60, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow]
)
_STEP = Decimal("0.000001")


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum.

    Raises:
        decimal.Inexact: it has more than 100 digits.
    """
    found = ZERO
    for amount in amounts:
        found = _EXACT.add(found, amount)
    return found


def difference(minuend: Decimal, subtrahend: Decimal) -> Decimal:
    """The exact difference."""
    return _EXACT.subtract(minuend, subtrahend)


def product(*factors: Decimal) -> Decimal:
    """A product, rounded to a millionth: for parts that are estimates, never for a sum."""
    found = Decimal(1)
    for factor in factors:
        found = _ROUNDED.multiply(found, factor)
    return found.quantize(_STEP, context=_ROUNDED)


def share_of(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """``amount * part / whole``, rounded to a millionth; the amount itself if part is whole."""
    if part == whole:
        return amount
    return _ROUNDED.divide(_ROUNDED.multiply(amount, part), whole).quantize(_STEP, context=_ROUNDED)


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """A quotient with 60 digits, for rates that only estimates are made of."""
    return _ROUNDED.divide(numerator, denominator)


def amount_text(amount: Decimal) -> str:
    """The one text of an amount: no exponent, no zero at the end, no negative zero."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
