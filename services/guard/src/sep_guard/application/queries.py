"""Reads of the API: what a cycle would see and decide now, without acting on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_kit.errors import UnknownInstrumentError

from sep_guard.domain.budget import Budget, budget_of
from sep_guard.domain.entry_checks import Check, check_entry
from sep_guard.domain.limits import GuardLimits, PortfolioLimits
from sep_guard.domain.margin_gate import margin_gate_open, utilisation
from sep_guard.domain.market import Market
from sep_guard.domain.view import View
from sep_guard.ports import ViewSource


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReport:
    """The budget of an account now."""

    view: View
    limits: PortfolioLimits
    budget: Budget
    utilisation: Decimal
    margin_open: bool


@dataclass(frozen=True, slots=True)
class Readiness:
    """The checks that an entry in one instrument would face now."""

    market: Market
    checks: tuple[Check, ...]


class GuardQueries:
    """Answers from a new view each time.

    Every method raises ``UnavailableError`` when the broker's account can't be read.
    """

    def __init__(self, source: ViewSource, instruments: Sequence[str], limits: GuardLimits) -> None:
        self._source = source
        self._instruments = tuple(sorted(instruments))
        self._limits = limits

    async def budget(self) -> BudgetReport:
        """The budget from the account as it is now."""
        view, portfolio = await self._source.view(), self._limits.portfolio
        return BudgetReport(
            view=view,
            limits=portfolio,
            budget=budget_of(view.account, portfolio),
            utilisation=utilisation(view.account),
            margin_open=margin_gate_open(view, portfolio),
        )

    async def readiness(self) -> list[Readiness]:
        """Readiness of every configured instrument that the broker lists, by name."""
        view = await self._source.view()
        return [self._readiness(view, i) for i in self._instruments if i in view.markets]

    async def check_entry(self, instrument: str) -> Readiness:
        """Readiness of one instrument.

        Raises:
            UnknownInstrumentError: it is not configured, or the broker does not list it.
        """
        if instrument not in self._instruments:
            raise UnknownInstrumentError(instrument, self._instruments)
        view = await self._source.view()
        if instrument not in view.markets:
            raise UnknownInstrumentError(instrument, tuple(view.markets))
        return self._readiness(view, instrument)

    def _readiness(self, view: View, instrument: str) -> Readiness:
        market = view.markets[instrument]
        return Readiness(market, check_entry(view, market, self._limits))
