"""Ages and verdicts of what the loop makes, read from the store."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_MS, NS_PER_SECOND, is_fresh

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, answer, store_errors
from sep_kit.store.documents import D, Document, read_document
from sep_kit.store.records import BrokerLinkRecord, GatesBlob, SignalRecord, WeightsRecord
from sep_kit.store.signals import SignalStore

LEASE_NAMES = ("gateway", "evaluator", "allocator", "guard")
# The gateway writes its link every few seconds; past this it is not known to be up.
BROKER_LINK_MAX_AGE_S = 30.0


@dataclass(frozen=True, slots=True)
class Age:
    """How fresh one thing is; ``age_s`` None while it is missing or malformed."""

    name: str
    age_s: float | None
    max_age_s: float
    verdict: str


@dataclass(frozen=True, slots=True)
class LeaseState:
    """Who holds a lease; holder empty when nobody does."""

    name: str
    holder: str
    token: int
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as fresh, in seconds."""

    blob_s: float
    weights_s: float
    signal_s: float


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store says of the stack; ``no_link`` is why there is no link to tell of."""

    ages: Sequence[Age]
    leases: Sequence[LeaseState]
    link: BrokerLinkRecord | None
    no_link: str = "the gateway has not reported lately"


def unread(instruments: Sequence[str], limits: Limits) -> Stored:
    """What is said while the store does not answer."""
    limit = {"gates_blob": limits.blob_s, "weights": limits.weights_s}
    limit |= {f"signal:{name}": limits.signal_s for name in instruments}
    ages = [Age(name, None, seconds, "unknown") for name, seconds in limit.items()]
    return Stored(ages, (), None, "the store does not answer")


def age_of(name: str, made_ms: int | None, now: int, limit_s: float) -> Age:
    """The age of a thing made at ``made_ms``; one from the future is malformed."""
    if made_ms is None:
        return Age(name, None, limit_s, "missing")
    age = (now - made_ms) / 1000
    if age < -limit_s:
        return Age(name, None, limit_s, "malformed")
    return Age(name, max(0.0, age), limit_s, "fresh" if age <= limit_s else "stale")


class StatusReader:
    """Reads the stack's state for an operator."""

    def __init__(self, store: Valkey, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._signals = SignalStore(store)

    async def stored(
        self, instruments: Sequence[str], granularity: Granularity, limits: Limits
    ) -> Stored:
        """Ages, leases and broker link.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        ages, leases, link = await asyncio.gather(
            self.ages(instruments, granularity, limits), self.leases(), self.broker_link()
        )
        return Stored(ages, leases, link)

    async def ages(
        self, instruments: Sequence[str], granularity: Granularity, limits: Limits
    ) -> list[Age]:
        """Ages of blob, weights and each instrument's signal."""
        now = now_ms(self._clock)
        blob = await self._made_at(GatesBlob, keys.GATES_BLOB)
        weights = await self._made_at(WeightsRecord, keys.ALLOCATION_WEIGHTS)
        found = [
            _aged("gates_blob", blob, now, limits.blob_s),
            _aged("weights", weights, now, limits.weights_s),
        ]
        for instrument, signal in (await self._signals.latest(instruments)).items():
            # A signal is as old as the end of its bar.
            end = (
                signal_end_ns(signal.ts_ns, granularity) // NS_PER_MS
                if isinstance(signal, SignalRecord)
                else signal
            )
            found.append(_aged(f"signal:{instrument}", end, now, limits.signal_s))
        return found

    async def leases(self) -> list[LeaseState]:
        """Who holds each writer lease."""
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for name in LEASE_NAMES:
                pipe.hgetall(keys.lease(name))
                pipe.pttl(keys.lease(name))
            answers = await pipe.execute()
        return [
            LeaseState(
                name,
                held.get(b"holder", b"").decode(),
                int(held.get(b"token", 0)),
                max(0, ttl) / 1000,
            )
            for name, held, ttl in zip(LEASE_NAMES, answers[::2], answers[1::2], strict=True)
        ]

    async def broker_link(self) -> BrokerLinkRecord | None:
        """The link as the gateway last told it; None when it has not lately."""
        try:
            link = await read_document(self._store, BrokerLinkRecord, keys.BROKER_LINK)
        except CorruptRecordError:
            return None
        if link is None or not is_fresh(link.ts, BROKER_LINK_MAX_AGE_S, now_ms(self._clock)):
            return None
        return link

    async def ping(self) -> None:
        """Nothing while Valkey answers.

        Raises:
            StoreUnavailableError: it does not.
        """
        await answer(self._store.ping())

    async def _made_at(self, kind: type[D], key: str) -> int | CorruptRecordError | None:
        try:
            found: Document | None = await read_document(self._store, kind, key)
        except CorruptRecordError as error:
            return error
        return None if found is None else int(found.ts)  # type: ignore[attr-defined]


def _aged(name: str, made: int | CorruptRecordError | None, now: int, limit_s: float) -> Age:
    if isinstance(made, CorruptRecordError):
        return Age(name, None, limit_s, "malformed")
    return age_of(name, made, now, limit_s)


def signal_end_ns(ts_ns: int, granularity: Granularity) -> int:
    """When a signal came to be: the end of the bar that starts at ``ts_ns``."""
    return ts_ns + granularity.seconds * NS_PER_SECOND
