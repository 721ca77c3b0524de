"""Reads of the API: what a cycle would see and decide now, without acting on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_kit.errors import UnknownInstrumentError

from sep_guard.domain.budget import Budget, budget_of
from sep_guard.domain.checks import Check
from sep_guard.domain.entry_checks import check_entry
from sep_guard.domain.limits import GuardLimits, PortfolioLimits
from sep_guard.domain.margin_gate import margin_gate_open, utilisation
from sep_guard.domain.market import Market
from sep_guard.domain.risk.report import LimitRow, limit_rows
from sep_guard.domain.view import View
from sep_guard.ports import JudgedParameters, ParametersInForce, ViewSource


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
    """The checks that an entry in one instrument would face now.

    ``parameters`` are those that its gate was judged by; None while unknown.
    """

    market: Market
    checks: tuple[Check, ...]
    parameters: ParametersInForce | None


class GuardQueries:
    """Answers from a new view each time.

    Every method raises ``UnavailableError`` when the broker's account can't be read.
    """

    def __init__(
        self,
        source: ViewSource,
        parameters: JudgedParameters,
        instruments: Sequence[str],
        limits: GuardLimits,
    ) -> None:
        self._source = source
        self._parameters = parameters
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

    async def limits(self) -> tuple[LimitRow, ...]:
        """Each risk limit with what is observed, allowed and left."""
        view = await self._source.view()
        return limit_rows(
            view.markets.values(),
            None if view.observed is None else view.observed.state,
            view.account.nav,
            self._limits.risk,
            view.now_ms,
        )

    async def readiness(self) -> list[Readiness]:
        """Readiness of every configured instrument that the broker lists, by name."""
        view = await self._source.view()
        parameters = await self._parameters.read()
        return [
            self._readiness(view, parameters, i) for i in self._instruments if i in view.markets
        ]

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
        return self._readiness(view, await self._parameters.read(), instrument)

    def _readiness(
        self, view: View, parameters: Mapping[str, ParametersInForce], instrument: str
    ) -> Readiness:
        market = view.markets[instrument]
        checks = check_entry(view, market, self._limits)
        return Readiness(market, checks, parameters.get(instrument))
