"""The risk limits of a replay: losses, counts, locks and the breaker, from the paper account."""

from sep_guard.domain.actions import Action, Kind, Plan
from sep_guard.domain.checks import Refusal
from sep_guard.domain.risk.limits import RiskLimits
from sep_guard.domain.risk.locks import Lock, active
from sep_guard.domain.risk.monitor import Observed, Reading, observe, with_passed
from sep_guard.domain.risk.state import RiskState

from sep_replay.journal import Journal, Topic
from sep_replay.ledger import LedgerReader
from sep_replay.paper_account import PaperAccount

_RISK = "RISK_"
_FOLLOWS = (Refusal.KILL_SWITCH, Refusal.BREAKER_TRIPPED)


class RiskStage:
    """Observes the account, and records each limit that cuts, refuses, locks or trips.

    A breaker that trips holds to the end of the tape: there is no person to acknowledge it.
    """

    def __init__(self, account: PaperAccount, limits: RiskLimits, journal: Journal) -> None:
        self._account = account
        self._limits = limits
        self._journal = journal
        self._ledger = LedgerReader()
        self._read_id = 0
        self.state = RiskState()

    @property
    def tripped(self) -> bool:
        """Whether the breaker is tripped."""
        return self.state.trip is not None

    @property
    def up_to_date(self) -> bool:
        """Whether the account has done nothing since the last observation."""
        return self._read_id == self._account.last_transaction_id

    def observe(self, now: int) -> Observed:
        """Take the account's value and its new transactions into the state."""
        through = self._account.last_transaction_id
        page = self._ledger.page(self._account.transactions_since(self._read_id), through)
        self._read_id = through
        reading = Reading(nav=self._account.nav, ledger=page, trades=())
        before = self.state
        observed = observe(before, reading, self._limits, now * 1000)
        self._take(before, observed.state, now)
        return observed

    def plan(self, plan: Plan, now: int) -> None:
        """Take what follows from a plan into the state."""
        before = self.state
        after = with_passed(before, plan.trip, plan.triggers, self._limits, now * 1000)
        self._take(before, after, now)

    def record(self, action: Action, now: int) -> None:
        """Record the limits that cut an entry, or that alone refused it."""
        if action.kind is Kind.ENTRY:
            for bound in action.bounds:
                self._add(now, "CUT", bound.limit, action.instrument, bound.observed, bound.allowed)
        elif action.kind is Kind.REFUSAL:
            limits = [r for r in action.reasons if r.startswith(_RISK)]
            others = [r for r in action.reasons if r not in limits and r not in _FOLLOWS]
            for reason in [] if others else limits:
                check = next((c for c in action.checks if c.reason == reason), None)
                name = reason.removeprefix(_RISK).lower()
                passed = next((b for b in action.bounds if b.limit == name), None)
                seen: tuple[object, object] = ("", "")
                if check is not None and not check.passed:
                    seen = check.observed, check.allowed
                elif passed is not None:
                    seen = passed.observed, passed.allowed
                self._add(now, "REFUSED", name, action.instrument, *seen)

    def _take(self, before: RiskState, after: RiskState, now: int) -> None:
        self.state = after
        for lock in active(after.locks, now * 1000):
            if lock not in before.locks.get(lock.instrument, ()):
                self._locked(lock, now)
        trip = after.trip
        if trip is not None and before.trip is None:
            self._journal.add(
                now, Topic.LIMIT, "all", kind="TRIPPED", limit=trip.cause,
                observed=trip.observed, allowed=trip.allowed, reason=trip.reason,
            )  # fmt: skip

    def _locked(self, lock: Lock, now: int) -> None:
        self._journal.add(
            now, Topic.LIMIT, lock.instrument, kind="LOCKED", limit=lock.cause, observed="",
            allowed=f"{lock.minutes} min", reason=lock.reason,
        )  # fmt: skip

    def _add(
        self, now: int, kind: str, limit: str, instrument: str, observed: object, allowed: object
    ) -> None:
        self._journal.add(
            now, Topic.LIMIT, instrument, kind=kind, limit=limit, observed=observed,
            allowed=allowed, reason="",
        )  # fmt: skip
