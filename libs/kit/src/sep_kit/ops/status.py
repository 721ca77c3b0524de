"""Ages of published data, lease holders and the broker link, read from the store."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sep_fx.freshness import Freshness, age_of
from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_MS

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply, store_errors
from sep_kit.store.documents import D, Document, read_document
from sep_kit.store.records import BrokerLinkRecord, GatesBlob, SignalRecord, WeightsRecord
from sep_kit.store.signals import SignalStore, signal_end_ns

BROKER_LINK_MAX_AGE_S = 30.0
"""The broker link is written every few seconds; an older record says nothing about now."""


@dataclass(frozen=True, slots=True)
class AgeReport:
    """Age of one value and its verdict, as shown to operators.

    Args:
        age_s: age in seconds; None while the value is missing or malformed.
        verdict: ``fresh``, ``stale``, ``missing``, ``malformed``, or ``unknown`` while the
            store can't be read.
    """

    name: str
    age_s: float | None
    max_age_s: float
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """Holder of a lease, empty if it is free; its fencing token; seconds until it expires."""

    name: str
    holder: str
    token: int
    expires_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Maximum ages in seconds."""

    blob_s: float
    weights_s: float
    signal_s: float


@dataclass(frozen=True, slots=True)
class StoredStatus:
    """The part of the status that is read from the store.

    Args:
        link: the broker link; None if unknown, and then ``no_link`` says why.
    """

    ages: Sequence[AgeReport]
    leases: Sequence[LeaseState]
    link: BrokerLinkRecord | None
    no_link: str = "the gateway has not reported lately"


def unknown_status(instruments: Sequence[str], limits: Limits) -> StoredStatus:
    """The status while the store does not answer."""
    limit = {"gates_blob": limits.blob_s, "weights": limits.weights_s}
    limit |= {f"signal:{name}": limits.signal_s for name in instruments}
    ages = [AgeReport(name, None, seconds, "unknown") for name, seconds in limit.items()]
    return StoredStatus(ages, (), None, "the store does not answer")


def age_report(name: str, made_ms: int | None, now_ms: int, limit_s: float) -> AgeReport:
    """The age of a value made at ``made_ms``; a stamp in the future is malformed."""
    age = age_of(made_ms, now_ms, limit_s, including_limit=True)
    if age.seconds is None:
        return AgeReport(name, None, limit_s, "missing")
    if age.verdict is Freshness.FUTURE:
        return AgeReport(name, None, limit_s, "malformed")
    return AgeReport(name, max(0.0, age.seconds), limit_s, age.verdict.value)


class StatusReader:
    """Reads the part of the stack's status that is in the store."""

    def __init__(self, store: Valkey, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._signals = SignalStore(store)

    async def stored(
        self,
        instruments: Sequence[str],
        granularity: Granularity,
        limits: Limits,
        leases: Sequence[str],
    ) -> StoredStatus:
        """Ages, the leases of these names, and the broker link.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        ages, held, link = await asyncio.gather(
            self.ages(instruments, granularity, limits), self.leases(leases), self.broker_link()
        )
        return StoredStatus(ages, held, link)

    async def ages(
        self, instruments: Sequence[str], granularity: Granularity, limits: Limits
    ) -> list[AgeReport]:
        """Ages of the gates blob, the weights and each instrument's signal."""
        now = now_ms(self._clock)
        blob = await self._made_at(GatesBlob, keys.GATES_BLOB)
        weights = await self._made_at(WeightsRecord, keys.ALLOCATION_WEIGHTS)
        found = [
            _report("gates_blob", blob, now, limits.blob_s),
            _report("weights", weights, now, limits.weights_s),
        ]
        for instrument, signal in (await self._signals.latest(instruments)).items():
            # A signal's age counts from the end of its bar.
            end = (
                signal_end_ns(signal.ts_ns, granularity) // NS_PER_MS
                if isinstance(signal, SignalRecord)
                else signal
            )
            found.append(_report(f"signal:{instrument}", end, now, limits.signal_s))
        return found

    async def leases(self, names: Sequence[str]) -> list[LeaseState]:
        """The state of each writer lease."""
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(keys.lease(name))
                pipe.pttl(keys.lease(name))
            replies = await pipe.execute(raise_on_error=False)
            for error in replies:
                # A key of another type is a damaged lease; its service sets it aside.
                if isinstance(error, Exception) and "WRONGTYPE" not in str(error):
                    raise error
        return [
            _lease(name, held, ttl)
            for name, held, ttl in zip(names, replies[::2], replies[1::2], strict=True)
        ]

    async def broker_link(self) -> BrokerLinkRecord | None:
        """The last record of the broker link; None if it is missing, malformed or stale."""
        try:
            link = await read_document(self._store, BrokerLinkRecord, keys.BROKER_LINK)
        except CorruptRecordError:
            return None
        if link is None:
            return None
        age = age_of(link.ts, now_ms(self._clock), BROKER_LINK_MAX_AGE_S)
        return link if age.fresh else None

    async def ping(self) -> None:
        """Check that Valkey answers.

        Raises:
            StoreUnavailableError: it does not.
        """
        await reply(self._store.ping())

    async def _made_at(self, kind: type[D], key: str) -> int | CorruptRecordError | None:
        try:
            found: Document | None = await read_document(self._store, kind, key)
        except CorruptRecordError as error:
            return error
        return None if found is None else int(found.ts)  # type: ignore[attr-defined]


def _lease(name: str, held: object, ttl_ms: int) -> LeaseState:
    """One lease; free if its key is damaged, since no replica can hold it then."""
    if not isinstance(held, dict) or not (token := held.get(b"token", b"0")).isdigit():
        return LeaseState(name=name, holder="", token=0, expires_in_s=0.0)
    return LeaseState(
        name=name,
        holder=held.get(b"holder", b"").decode(errors="replace"),
        token=int(token),
        expires_in_s=max(0, ttl_ms) / 1000,
    )


def _report(
    name: str, made_ms: int | CorruptRecordError | None, now_ms: int, limit_s: float
) -> AgeReport:
    if isinstance(made_ms, CorruptRecordError):
        return AgeReport(name, None, limit_s, "malformed")
    return age_report(name, made_ms, now_ms, limit_s)
