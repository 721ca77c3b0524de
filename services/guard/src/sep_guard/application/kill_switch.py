"""Changes of the kill switch by a person: checked, persisted, shown and logged."""

from dataclasses import dataclass

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import InvalidArgumentError
from sep_kit.logging import get_logger
from sep_kit.store.durable_kill_switch import DurableKillSwitch
from sep_kit.store.kill_switch import KillSwitchState
from sep_kit.store.records import KillSwitchChange

from sep_guard.application.breaker import Breaker
from sep_guard.metrics import GuardMetrics

_log = get_logger("PortfolioManager")


@dataclass(frozen=True, slots=True)
class Changed:
    """A change in force; ``durable`` if it is on the store's disk."""

    change: KillSwitchChange
    durable: bool


class KillSwitchControl:
    """Reads, engages and releases the kill switch for a person."""

    def __init__(
        self,
        kill_switch: DurableKillSwitch,
        breaker: Breaker,
        clock: Clock,
        metrics: GuardMetrics,
    ) -> None:
        self._kill_switch = kill_switch
        self._breaker = breaker
        self._clock = clock
        self._metrics = metrics

    async def read(self) -> KillSwitchState:
        """The current state; unreadable counts as engaged."""
        return await self._kill_switch.read()

    async def engage(self, reason: str, actor: str) -> Changed:
        """Engage; while the store is away it is pending and holds as well."""
        return await self.set(engaged=True, reason=reason, actor=actor)

    async def set(
        self, *, engaged: bool, reason: str, actor: str, acknowledge_breaker: bool = False
    ) -> Changed:
        """Engage or release. A release needs a reason; an engage never does.

        Args:
            acknowledge_breaker: reset a tripped breaker as well, which a release then needs.

        Raises:
            InvalidArgumentError: a release without a reason, or an engage that acknowledges.
            BreakerTrippedError: a release while the breaker is tripped.
            NotTheWriterError: an acknowledgement on a replica that does not hold the lease.
            StoreUnavailableError: a release, and the store does not answer.
        """
        if not engaged:
            await self._prepare_release(reason, actor, acknowledge=acknowledge_breaker)
        elif acknowledge_breaker:
            raise InvalidArgumentError(
                "acknowledge_breaker: goes with a release, not with kill_switch: true"
            )
        change = KillSwitchChange(
            ts=now_ms(self._clock),
            engaged=engaged,
            reason=reason or "engaged without a reason",
            actor=actor or "unnamed",
        )
        durable = await self._kill_switch.set(change)
        self._metrics.show_kill_switch(change.engaged)
        _log.warning(
            "kill switch engaged" if change.engaged else "kill switch released",
            actor=change.actor, reason=change.reason, durable=durable,
        )  # fmt: skip
        return Changed(change, durable)

    async def _prepare_release(self, reason: str, actor: str, *, acknowledge: bool) -> None:
        if not reason.strip():
            raise InvalidArgumentError("reason: must be given to release the kill switch")
        if acknowledge:
            await self._breaker.acknowledge(reason, actor or "unnamed")
        else:
            await self._breaker.check_release()
