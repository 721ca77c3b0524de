"""Changes of the kill switch by a person: checked, persisted, shown and logged."""

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import InvalidArgumentError
from sep_kit.logging import get_logger
from sep_kit.store.kill_switch import KillSwitch, KillSwitchState
from sep_kit.store.records import KillSwitchChange

from sep_guard.metrics import GuardMetrics

_log = get_logger("PortfolioManager")


class KillSwitchControl:
    """The kill switch, for the API."""

    def __init__(self, kill_switch: KillSwitch, clock: Clock, metrics: GuardMetrics) -> None:
        self._kill_switch = kill_switch
        self._clock = clock
        self._metrics = metrics

    async def read(self) -> KillSwitchState:
        """The current state; unreadable counts as engaged."""
        return await self._kill_switch.read()

    async def set(self, *, engaged: bool, reason: str, actor: str) -> KillSwitchChange:
        """Engage or release. A release needs a reason; an engage never does.

        Raises:
            InvalidArgumentError: a release without a reason.
            StoreUnavailableError: the store does not answer.
        """
        if not engaged and not reason.strip():
            raise InvalidArgumentError("reason: must be given to release the kill switch")
        change = KillSwitchChange(
            ts=now_ms(self._clock),
            engaged=engaged,
            reason=reason or "engaged without a reason",
            actor=actor or "unnamed",
        )
        await self._kill_switch.set(change)
        self._metrics.show_kill_switch(change.engaged)
        _log.warning(
            "kill switch engaged" if change.engaged else "kill switch released",
            actor=change.actor, reason=change.reason,
        )  # fmt: skip
        return change
