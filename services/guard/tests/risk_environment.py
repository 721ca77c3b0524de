"""A guard with the limits in force over a real store and the in-memory broker."""

from decimal import Decimal

from sep_guard.application.reconcile import Done
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.lease import Lease
from sep_testing.clock import FakeClock

from .harness import Feed, GuardHarness, settings_of
from .memory_broker import MemoryBroker

EUR, GBP = "EUR_USD", "GBP_USD"
IN_FORCE = {
    "RISK_MAX_DAILY_LOSS_PCT": "2",
    "RISK_MAX_DRAWDOWN_PCT": "6",
    "RISK_MAX_EQUAL_REJECTS": "3",
    "RISK_MAX_STOPS_PER_DAY": "3",
    "RISK_MAX_ENTRIES_PER_HOUR": "3",
    "PM_RAMP_STEP_PCT": "0.10",
}


class RiskEnvironment:
    """A guard, an in-memory broker, and a writer of the guard's inputs."""

    def __init__(
        self,
        store: Valkey,
        clock: FakeClock,
        url: str,
        lease_type: type[Lease] = Lease,
        **knobs: str,
    ) -> None:
        self.store, self.clock = store, clock
        self.settings = settings_of(url, **{**IN_FORCE, **knobs})
        self.broker = MemoryBroker(clock, EUR, GBP)
        self.feed = Feed(store, clock)
        self.lease_type = lease_type
        self.guard = self.another("a")

    def another(self, holder: str) -> GuardHarness:
        return GuardHarness(
            self.store, self.clock, self.broker, self.settings, holder, lease_type=self.lease_type
        )

    async def restart(self) -> None:
        """Replace the guard by a new one, as after a crash and the end of its lease."""
        await self.store.delete(keys.lease("guard"))
        self.guard = self.another(f"after {self.guard.lease.holder}")

    async def cycle(self, **weights: float) -> dict[str, Done]:
        """Half a minute later: new inputs, then a cycle. Without weights nothing is wanted."""
        self.clock.advance(30)
        for instrument in (EUR, GBP):
            await self.feed.signal(instrument)
        await self.feed.weights(held=False, **weights)
        await self.feed.link()
        await self.store.set(keys.MARGIN_GATE, "open")
        return await self.guard.cycle()

    async def hold_a_position(self) -> Decimal:
        """Release the kill switch and enter."""
        await self.feed.kill_switch(False)
        await self.cycle(EUR_USD=0.10)
        assert self.held() > 0
        return self.held()

    def held(self, instrument: str = EUR) -> Decimal:
        return self.broker.positions[instrument].managed

    def lose(self, percent: str) -> None:
        """NAV falls by this share of the balance."""
        self.broker.nav = self.broker.balance * (1 - Decimal(percent) / 100)

    async def switch(self) -> tuple[bool, str]:
        """The kill switch: engaged, and by whom."""
        state = await KillSwitch(self.store).read()
        return state.engaged, state.change.actor if state.change else ""

    async def tripped(self) -> bool:
        return bool(await reply(self.store.exists(keys.RISK_BREAKER)))


def refusals(done: Done) -> tuple[str, ...]:
    """Reasons of a refused entry; empty when it was not refused."""
    return tuple(map(str, done.action.reasons)) if done.action.kind == "REFUSAL" else ()
