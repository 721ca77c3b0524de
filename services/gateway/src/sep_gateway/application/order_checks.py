"""Checks that an order must pass before it is sent."""

from sep_fx.instrument import Instrument
from sep_kit.errors import (
    AccountKindError,
    InvalidArgumentError,
    KillSwitchEngagedError,
    LiveTradingDisabledError,
    ReadOnlyError,
)
from sep_kit.settings.shared.safety import OandaEnvironment, SafetyKnobs

from sep_gateway.application.account_kinds import AccountKinds
from sep_gateway.domain.account_kind import AccountKind
from sep_gateway.domain.order_rules import Refusal, fit_order
from sep_gateway.domain.orders import MarketOrder
from sep_gateway.ports import KillSwitch


class OrderRefusedError(InvalidArgumentError):
    """The order violates one of the instrument's limits; the reason names it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text, limit=str(refusal.limit))
        self.reason = refusal.reason


class OrderChecks:
    """Trading modes, the kill switch and the instrument's limits."""

    def __init__(self, safety: SafetyKnobs, kill_switch: KillSwitch, kinds: AccountKinds) -> None:
        self._safety = safety
        self._kill_switch = kill_switch
        self._kinds = kinds

    def check_modes(self) -> None:
        """Refuse every order while orders are disabled.

        Raises:
            ReadOnlyError: ``READ_ONLY`` is set.
            LiveTradingDisabledError: a live account without ``LIVE_TRADING_ENABLED``.
        """
        if self._safety.read_only:
            raise ReadOnlyError("READ_ONLY=1: no order is sent")
        live = self._safety.oanda_environment is OandaEnvironment.LIVE
        if live and not self._safety.live_trading_enabled:
            raise LiveTradingDisabledError(
                "OANDA_ENVIRONMENT=live needs LIVE_TRADING_ENABLED=1: no order is sent"
            )

    async def check_entry(self) -> None:
        """Refuse an entry into an account that can't be traded, or while the kill switch is on.

        Raises:
            AccountKindError: the account is of an unsupported kind, or not described yet.
            KillSwitchEngagedError: the kill switch is engaged or can't be read.
        """
        if not self._kinds.known:
            raise AccountKindError(
                "the broker has not described the account yet: only reductions are sent",
                kinds=AccountKind.UNKNOWN_KIND,
            )
        if kinds := self._kinds.current:
            raise AccountKindError(
                f"the account is {self._kinds.sentence}: only reductions are sent",
                kinds=",".join(kinds),
            )
        if await self._kill_switch.engaged():
            raise KillSwitchEngagedError("the kill switch is engaged: only reductions are sent")


def fitted(order: MarketOrder, instrument: Instrument) -> MarketOrder:
    """The order rounded to the instrument's precision.

    Raises:
        OrderRefusedError: UNITS_BELOW_MINIMUM or UNITS_ABOVE_MAXIMUM.
    """
    result = fit_order(order, instrument)
    if isinstance(result, Refusal):
        raise OrderRefusedError(result)
    return result
