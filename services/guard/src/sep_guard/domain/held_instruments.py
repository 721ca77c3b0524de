"""What the broker's account adds to an instrument: its margin rate, its count, decided stops."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from sep_fx.instrument import Instrument

from sep_guard.domain.margin_model import margin_factor, margin_ratio
from sep_guard.domain.market import Account, Holding, Market
from sep_guard.domain.stop_guard import DecidedStop


def rules_for(name: str, listed: Mapping[str, Instrument], account: Account) -> Instrument:
    """The broker's rules of an instrument, with the larger of both margin rates.

    One that is held and not listed any more has rules that let it be closed: whole units, and
    its full value as margin.
    """
    rules = listed.get(name) or Instrument(
        name=name,
        display_precision=5,
        trade_units_precision=0,
        minimum_trade_size=Decimal(1),
        margin_rate=Decimal(1),
    )
    rate = max(rules.margin_rate, account.margin_rate or Decimal(0))
    return rules if rate == rules.margin_rate else replace(rules, margin_rate=rate)


def with_decided_stops(holding: Holding, decided: Mapping[str, DecidedStop]) -> Holding:
    """The holding with the stop that each trade of this stack was decided with."""
    if not any(t.own and t.client_id in decided for t in holding.trades):
        return holding
    return replace(
        holding,
        trades=tuple(
            replace(t, decided_stop=decided[t.client_id].price)
            if t.own and t.client_id in decided
            else t
            for t in holding.trades
        ),
    )


def with_margin_of_broker(account: Account, markets: Mapping[str, Market]) -> Mapping[str, Market]:
    """The markets with the factor between the broker's count of margin and the modelled one."""
    factor = margin_factor(margin_ratio(account, markets.values()))
    if factor == 1:
        return markets
    return {name: replace(market, margin_factor=factor) for name, market in markets.items()}
