"""Exposure in home currency, gross and by currency, and how much of an entry fits within it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from sep_fx.instrument import split_name

from sep_guard.domain.market import ZERO, Market
from sep_guard.domain.risk.limits import LimitName, RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """All units held, managed and manual, in home currency.

    Attributes:
        gross: sum of absolute position values.
        by_currency: net value long (above 0) or short in each currency.
        unvalued: held instruments without a price or conversion; while there are any, no
            entry can be measured.
    """

    gross: Decimal = ZERO
    by_currency: Mapping[str, Decimal]
    unvalued: tuple[str, ...] = ()


NO_EXPOSURE = Exposure(by_currency={})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureRequest:
    """An entry before the risk limits.

    Attributes:
        side: 1 long, -1 short.
        units: units asked for, above 0.
        current: absolute units of the same side that the position has already.
        unit_value: value of one unit in home currency.
        unit_loss: loss of one unit in home currency between the worst fill that the order
            allows and its stop; None without a stop.
    """

    instrument: str
    side: int
    units: Decimal
    current: Decimal
    unit_value: Decimal
    unit_loss: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A limit that cuts an entry: the most units that it allows, and its figures.

    ``observed`` is what the entry as asked for would come to: a share of NAV for the loss at
    the stop, NAVs for leverage.
    """

    limit: LimitName
    units: Decimal
    observed: Decimal
    allowed: Decimal


def exposure_of(markets: Iterable[Market]) -> Exposure:
    """The exposure of all positions, managed and manual."""
    gross, net, unvalued = ZERO, dict[str, Decimal](), []
    for market in markets:
        managed, manual = market.holding.managed, market.holding.manual
        if not managed and not market.holding.manual_units:
            continue
        unit_value = market.value_per_unit
        if unit_value is None:
            unvalued.append(market.instrument.name)
            continue
        gross += (abs(managed) + market.holding.manual_units) * unit_value
        _add(net, market.instrument.name, (managed + manual) * unit_value)
    return Exposure(gross=gross, by_currency=net, unvalued=tuple(unvalued))


def with_entry(
    exposure: Exposure, instrument: str, units: Decimal, unit_value: Decimal
) -> Exposure:
    """The exposure once signed ``units`` of an entry are filled."""
    net = dict(exposure.by_currency)
    _add(net, instrument, units * unit_value)
    # Not ``replace``, which takes ten times as long: a cycle has one for each entry.
    gross = exposure.gross + abs(units) * unit_value
    return Exposure(gross=gross, by_currency=net, unvalued=exposure.unvalued)


def with_reduction(
    exposure: Exposure, instrument: str, units: Decimal, unit_value: Decimal
) -> Exposure:
    """The exposure once signed ``units`` of a reduction are filled; ``gross`` is left as it is."""
    net = dict(exposure.by_currency)
    _add(net, instrument, units * unit_value)
    return replace(exposure, by_currency=net)


def bounds(
    request: ExposureRequest, exposure: Exposure, nav: Decimal, limits: RiskLimits
) -> tuple[Bound, ...]:
    """The limits that allow less than the entry asks for, each with what it allows."""
    found = (
        at_stop(request, nav, limits),
        by_gross(request, exposure, nav, limits),
        by_currency(request, exposure, nav, limits),
    )
    return tuple(bound for bound in found if bound.units < request.units)


def largest_currency(exposure: Exposure) -> tuple[str, Decimal]:
    """The currency with the largest net exposure, and that; empty and 0 without positions."""
    held = [(abs(net), currency) for currency, net in exposure.by_currency.items()]
    value, currency = max(held, default=(ZERO, ""))
    return currency, value


def signed_net(exposure: Exposure, instrument: str, side: int) -> tuple[Decimal, Decimal]:
    """Net exposure in base and quote, above 0 where an entry on that side would add to it."""
    base, quote = split_name(instrument)
    held = exposure.by_currency
    return side * held.get(base, ZERO), -side * held.get(quote, ZERO)


def at_stop(request: ExposureRequest, nav: Decimal, limits: RiskLimits) -> Bound:
    """The entry against the loss at its stop."""
    loss, allowed = request.unit_loss, limits.max_loss_per_trade
    if loss is None or loss <= 0:
        # Without a stop below the fill there is no bound on the loss, so nothing is allowed.
        return Bound(limit=LimitName.LOSS_AT_STOP, units=ZERO, observed=Decimal(1), allowed=allowed)
    return Bound(
        limit=LimitName.LOSS_AT_STOP,
        units=max(ZERO, allowed * nav / loss - request.current),
        observed=_in_navs((request.current + request.units) * loss, nav),
        allowed=allowed,
    )


def by_gross(
    request: ExposureRequest, exposure: Exposure, nav: Decimal, limits: RiskLimits
) -> Bound:
    """The entry against leverage."""
    left = limits.max_leverage * nav - exposure.gross
    return Bound(
        limit=LimitName.LEVERAGE,
        units=max(ZERO, left / request.unit_value),
        observed=_in_navs(exposure.gross + request.units * request.unit_value, nav),
        allowed=limits.max_leverage,
    )


def by_currency(
    request: ExposureRequest, exposure: Exposure, nav: Decimal, limits: RiskLimits
) -> Bound:
    """The entry against the net exposure in its two currencies."""
    most = limits.max_currency_leverage * nav
    signed = signed_net(exposure, request.instrument, request.side)
    return Bound(
        limit=LimitName.CURRENCY,
        units=max(ZERO, min((most - net) / request.unit_value for net in signed)),
        observed=_in_navs(
            max(abs(net + request.units * request.unit_value) for net in signed), nav
        ),
        allowed=limits.max_currency_leverage,
    )


def _in_navs(value: Decimal, nav: Decimal) -> Decimal:
    """A value in NAVs; without a NAV nothing is allowed, and the figure is 0."""
    return value / nav if nav > 0 else ZERO


def _add(net: dict[str, Decimal], instrument: str, value: Decimal) -> None:
    base, quote = split_name(instrument)
    net[base] = net.get(base, ZERO) + value
    net[quote] = net.get(quote, ZERO) - value
