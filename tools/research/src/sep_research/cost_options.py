"""The costs of a sweep: as they are given, or as the live trades in the journal had them."""

from sep_client import ApiError, Client, NoAnswerError
from sep_data.pulling import connect
from sep_evaluator.cli.cost_specs import read_costs
from sep_evaluator.domain.costs import NO_COST_TABLE, CostTable
from sep_evaluator.domain.measured_costs import PaidTrade, measured_costs

from sep_research.errors import ResearchError, StackUnreachableError
from sep_research.results import closed_trades

JOURNAL = "journal"


def costs_of(text: str | None, url: str) -> CostTable:
    """The costs that ``--costs`` asks for; none without it.

    Args:
        url: where the stack answers whose journal is asked.

    Raises:
        ResearchError: they can't be read, or the journal has no trade to measure them from.
        StackUnreachableError: no stack answers.
    """
    try:
        if text is None:
            return NO_COST_TABLE
        if text != JOURNAL:
            return read_costs(text)
        with connect(url) as client:
            return measured_costs(_paid(client))
    except NoAnswerError as error:
        raise StackUnreachableError(f"{url} does not answer: {error}") from None
    except ApiError as error:
        raise ResearchError(f"{url} refused: {error}") from None
    except ValueError as error:
        raise ResearchError(f"--costs: {error}") from None


def _paid(client: Client) -> list[PaidTrade]:
    found = []
    for trade in closed_trades(client, None, None):
        parts, closed = trade.parts, trade.close_time
        prices = trade.open_price, trade.close_price
        if not trade.own or parts is None or closed is None or None in prices:
            continue
        names = ("signal", "half_spread", "delay", "slippage", "financing")
        found.append(
            PaidTrade(
                instrument=trade.instrument,
                units=float(trade.units),
                open_price=float(prices[0] or 0),
                close_price=float(prices[1] or 0),
                opened=int(trade.open_time // 1000),
                closed=int(closed // 1000),
                parts={name: float(getattr(parts, name)) for name in names},
            )
        )
    return found
