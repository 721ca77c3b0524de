"""Reads a view: account and prices from the broker, the rest from Valkey."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sep_fx.freshness import age_of
from sep_fx.instrument import Instrument
from sep_fx.sessions import MarketCalendar, SessionCalendar, fx_week_closes_at
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import SepError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store.durable_kill_switch import DurableKillSwitch

from sep_guard.adapters.stored_inputs import StoredInputs, StoredInputsReader
from sep_guard.application.account_view import AccountViewReader
from sep_guard.application.risk_monitor import RiskMonitor
from sep_guard.application.watermark import Watermark
from sep_guard.domain.held_instruments import rules_for, with_decided_stops, with_margin_of_broker
from sep_guard.domain.limits import Controls
from sep_guard.domain.market import Account, Holding, Market
from sep_guard.domain.risk.context import UNREADABLE_RISK, context_of
from sep_guard.domain.risk.exposure import exposure_of
from sep_guard.domain.risk.monitor import Observed
from sep_guard.domain.stop_guard import DecidedStop
from sep_guard.domain.trades import holding_of, holdings_of
from sep_guard.domain.view import View
from sep_guard.ports import Broker, Prices

_log = get_logger("PortfolioManager")
_INSTRUMENTS_MAX_AGE_S = 3600
_SOON_MS = (_INSTRUMENTS_MAX_AGE_S - 60) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSettings:
    """Settings of the view: configured instruments, sessions, and the switches of a start."""

    instruments: tuple[str, ...]
    calendar: SessionCalendar
    read_only: bool
    live_allowed: bool


class ViewReader:
    """``ViewSource`` over broker and Valkey. What can't be read is None, which refuses entries."""

    def __init__(
        self,
        settings: ViewSettings,
        broker: Broker,
        stored_inputs: StoredInputsReader,
        kill_switch: DurableKillSwitch,
        risk: RiskMonitor,
        accounts: AccountViewReader,
        watermark: Watermark,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._watermark = watermark
        self._settings = settings
        self._broker = broker
        self._stored_inputs = stored_inputs
        self._kill_switch = kill_switch
        self._risk = risk
        self._clock = clock
        self._rules: Mapping[str, Instrument] = {}
        self._rules_ms = 0
        self._decided_stops: Mapping[str, DecidedStop] = {}
        self._left_out: tuple[str, ...] = ()

    async def view(self) -> View:
        """All inputs of a cycle.

        Raises:
            UnavailableError: the broker's account can't be read, so nothing can be decided.
        """
        rules = await self._instrument_rules()
        self._watermark.note(await self._stored_inputs.newest_transaction())
        seen = await self._accounts.read()
        account, holdings = seen.account, holdings_of(seen.trades)
        listed = {i for i in {*self._settings.instruments, *holdings} if i in rules}
        # An instrument that is held stays in every decision, whether it is still listed or not.
        names = sorted(listed | holdings.keys())
        prices = await self._prices(sorted(listed))
        if listed - prices.quotes.keys():
            # Perhaps not listed any more: asked for again within a minute, not within the hour.
            self._rules_ms = min(self._rules_ms, now_ms(self._clock) - _SOON_MS)
        stored = await self._stored_inputs.read(names)
        # A store that did not answer is not asked for the kill switch either.
        controls = await self.controls() if stored else self.controls_without_store()
        stored_at_all = stored is not None
        stored = stored or StoredInputs(unknown_orders=frozenset(names))
        observed = await self._observe(account) if stored_at_all else None
        if stored.decided_stops is not None:
            self._decided_stops = stored.decided_stops
        now = now_ms(self._clock)
        markets = with_margin_of_broker(
            account,
            {
                name: self._market(
                    rules_for(name, rules, account),
                    stored,
                    prices,
                    with_decided_stops(holding_of(name, seen.trades), self._decided_stops),
                    now,
                    listed=name in listed,
                )
                for name in names
            },
        )
        exposure = exposure_of(markets.values())
        return View(
            account=account,
            markets=markets,
            weights=stored.weights,
            margin_was_open=stored.margin_open,
            controls=controls,
            now_ms=now,
            link_sound=stored.link_sound,
            risk=UNREADABLE_RISK if observed is None else context_of(observed, exposure, now),
            observed=observed,
            behind=seen.behind,
            decided_stops=self._decided_stops,
            left_out=self._left_out,
        )

    async def _observe(self, account: Account) -> Observed | None:
        try:
            return await self._risk.observe(account)
        except StoreUnavailableError as error:
            _log.warning("risk state can't be read: no entry passes", error=str(error))
            return None

    async def controls(self) -> Controls:
        """Kill switch and switches of the settings, now. An unreadable switch is engaged."""
        switch = await self._kill_switch.read()
        return self._controls(kill_switch=switch.engaged)

    def controls_without_store(self) -> Controls:
        """The controls while the store is away: the kill switch counts as engaged."""
        return self._controls(kill_switch=True)

    def _controls(self, *, kill_switch: bool) -> Controls:
        settings = self._settings
        return Controls(
            kill_switch=kill_switch,
            read_only=settings.read_only,
            live_allowed=settings.live_allowed,
        )

    def _market(
        self,
        rules: Instrument,
        stored: StoredInputs,
        prices: Prices,
        holding: Holding,
        now: int,
        *,
        listed: bool,
    ) -> Market:
        name = rules.name
        manifold = stored.manifolds.get(name)
        return Market(
            instrument=rules,
            session=self._settings.calendar.state(name, now // 1000),
            signal=stored.signals.get(name),
            manifold_ms=None if manifold is None else manifold.ts_ms,
            manifold_price=None if manifold is None else manifold.price,
            quote=prices.quotes.get(name),
            home_per_quote=prices.home_per_unit.get(rules.quote),
            holding=holding,
            order_unknown=name in stored.unknown_orders,
            listed=listed,
            week_closes_s=self._week_closes_s(now // 1000),
        )

    def _week_closes_s(self, at: int) -> int | None:
        if self._settings.calendar.calendar is MarketCalendar.ALWAYS:
            return None
        # Closed for a weekend or a holiday: the week has ended by now.
        return fx_week_closes_at(at) or at

    async def _instrument_rules(self) -> Mapping[str, Instrument]:
        now = now_ms(self._clock)
        age = age_of(self._rules_ms, now, _INSTRUMENTS_MAX_AGE_S, including_limit=True, ahead_s=0)
        if not self._rules or not age.fresh:
            try:
                self._rules, self._rules_ms = await self._broker.instruments(), now
            except SepError as error:
                if not self._rules:
                    raise
                _log.warning(
                    "instruments can't be read: the last known ones are used", error=str(error)
                )
            self._left_out = tuple(sorted(set(self._settings.instruments) - self._rules.keys()))
            for instrument in sorted(i for i in self._settings.instruments if i not in self._rules):
                _log.error("the broker does not list an instrument", instrument=instrument)
        return self._rules

    async def _prices(self, names: Sequence[str]) -> Prices:
        try:
            return await self._broker.prices(names)
        except SepError as error:
            # An exit needs no price; an entry does.
            _log.warning("prices can't be read: no entry passes", error=str(error))
            return Prices({}, {})
