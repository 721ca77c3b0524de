"""What the paper account charges beside the spread: slippage of fills and financing, exactly."""

from decimal import Decimal

from sep_evaluator.domain.costs import CostTable
from sep_paper_broker.account.trades import Trade
from sep_paper_broker.market.quote import Quote

_BPS = Decimal(10_000)
_DAYS_A_YEAR = 365


class AccountCosts:
    """Costs by instrument as decimals."""

    def __init__(self, table: CostTable) -> None:
        self._table = table

    def slippage(self, quote: Quote) -> Decimal:
        """Price units by which a market order or a stop fills worse than the quote."""
        costs = self._table.of(quote.instrument)
        if not (costs.slippage_bps or costs.slippage_spreads):
            return Decimal(0)
        of_price = quote.mid * _decimal(costs.slippage_bps) / _BPS
        return of_price + (quote.ask - quote.bid) * _decimal(costs.slippage_spreads)

    def delay_of(self, instrument: str) -> int:
        """Seconds from the decision until its order is in the market."""
        return self._table.of(instrument).delay_sec

    def financed(self, instrument: str) -> bool:
        """Whether holding the instrument over 17:00 New York costs or earns anything."""
        return self._table.of(instrument).has_financing

    def annual_rate(self, trade: Trade) -> Decimal:
        """Yearly financing as a fraction of the trade's value; negative if it pays."""
        costs = self._table.of(trade.instrument)
        bps = costs.financing_long_bps if trade.is_long else costs.financing_short_bps
        return -_decimal(bps) / _BPS * _DAYS_A_YEAR


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))
