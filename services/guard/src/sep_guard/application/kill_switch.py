"""Changes of the kill switch by a person: checked, persisted, shown and logged."""

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import InvalidArgumentError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store.kill_switch import KillSwitch, KillSwitchState
from sep_kit.store.records import KillSwitchChange

from sep_guard.application.breaker import Breaker
from sep_guard.metrics import GuardMetrics

_log = get_logger("PortfolioManager")


class KillSwitchControl:
    """The kill switch, for the API."""

    def __init__(
        self, kill_switch: KillSwitch, breaker: Breaker, clock: Clock, metrics: GuardMetrics
    ) -> None:
        self._kill_switch = kill_switch
        self._breaker = breaker
        self._clock = clock
        self._metrics = metrics
        self._unwritten: KillSwitchChange | None = None

    @property
    def unwritten(self) -> bool:
        """Whether an engage waits for the store; entries wait for it, too."""
        return self._unwritten is not None

    async def engage(self, reason: str, actor: str) -> None:
        """Engage. While the store is away it holds in this process, and ``catch_up`` writes it."""
        try:
            await self.set(engaged=True, reason=reason, actor=actor)
        except StoreUnavailableError as error:
            self._unwritten = KillSwitchChange(
                ts=now_ms(self._clock), engaged=True, reason=reason, actor=actor
            )
            self._metrics.show_kill_switch(True)
            _log.error(
                "kill switch engaged, not written yet: this guard sends no entry until it is",
                actor=actor, reason=reason, error=str(error),
            )  # fmt: skip

    async def catch_up(self) -> None:
        """Write an engage that waits for the store, if there is one and the store takes it."""
        if self._unwritten is None:
            return
        try:
            await self._kill_switch.set(self._unwritten)
        except StoreUnavailableError as error:
            _log.warning("kill switch not written yet", error=str(error))
            return
        _log.warning("kill switch written", reason=self._unwritten.reason)
        self._unwritten = None

    async def read(self) -> KillSwitchState:
        """The current state; unreadable counts as engaged."""
        return await self._kill_switch.read()

    async def set(
        self, *, engaged: bool, reason: str, actor: str, acknowledge_breaker: bool = False
    ) -> KillSwitchChange:
        """Engage or release. A release needs a reason; an engage never does.

        Args:
            acknowledge_breaker: reset a tripped breaker as well, which a release then needs.

        Raises:
            InvalidArgumentError: a release without a reason, or an engage that acknowledges.
            BreakerTrippedError: a release while the breaker is tripped.
            NotTheWriterError: an acknowledgement on a replica that does not hold the lease.
            StoreUnavailableError: the store does not answer.
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
        await self._kill_switch.set(change)
        # A later change takes the place of one that waits.
        self._unwritten = None
        self._metrics.show_kill_switch(change.engaged)
        _log.warning(
            "kill switch engaged" if change.engaged else "kill switch released",
            actor=change.actor, reason=change.reason,
        )  # fmt: skip
        return change

    async def _prepare_release(self, reason: str, actor: str, *, acknowledge: bool) -> None:
        if not reason.strip():
            raise InvalidArgumentError("reason: must be given to release the kill switch")
        if acknowledge:
            await self._breaker.acknowledge(reason, actor or "unnamed")
        else:
            await self._breaker.check_release()
