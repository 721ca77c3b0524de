"""Signals and live manifolds in Valkey."""

from collections.abc import Sequence

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_MS, NS_PER_SECOND

from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Pipeline, Valkey, reply, store_errors, wrong_type
from sep_kit.store.documents import read_documents
from sep_kit.store.records import ManifoldRecord, SignalRecord

MANIFOLD_TTL_S = 300

Signals = dict[str, SignalRecord | CorruptRecordError | None]
Manifolds = dict[str, ManifoldRecord | CorruptRecordError | None]


class SignalStore:
    """Reads signals and live manifolds."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def latest(self, instruments: Sequence[str]) -> Signals:
        """The newest signal of each instrument, in two round trips.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for instrument in instruments:
                pipe.zrange(keys.signal_index(instrument), -1, -1)
            indexes = await pipe.execute(raise_on_error=False)
        for index in indexes:
            if isinstance(index, Exception) and not wrong_type(index):
                raise StoreUnavailableError(f"Valkey refused: {index}") from index
        newest = [
            found[0].decode() if found and not isinstance(found, Exception) else None
            for found in indexes
        ]
        records = await read_documents(self._store, SignalRecord, [k for k in newest if k])
        left = iter(records)
        return {
            instrument: _damaged(instrument)
            if isinstance(index, Exception)
            else next(left)
            if key
            else None
            for instrument, key, index in zip(instruments, newest, indexes, strict=True)
        }

    async def recent(self, instrument: str, count: int) -> list[SignalRecord]:
        """The last ``count`` signals, oldest first, without those that are malformed.

        Raises:
            StoreUnavailableError: Valkey does not answer.
            CorruptRecordError: the index is of a wrong type.
        """
        if count < 1:
            return []
        try:
            index = await reply(self._store.zrange(keys.signal_index(instrument), -count, -1))
        except StoreUnavailableError as error:
            if isinstance(error.__cause__, Exception) and wrong_type(error.__cause__):
                raise _damaged(instrument) from None
            raise
        found = await read_documents(self._store, SignalRecord, [key.decode() for key in index])
        return [record for record in found if isinstance(record, SignalRecord)]

    async def manifolds(self, instruments: Sequence[str]) -> Manifolds:
        """The live manifold of each instrument, in one round trip."""
        found = await read_documents(
            self._store, ManifoldRecord, [keys.manifold(i) for i in instruments]
        )
        return dict(zip(instruments, found, strict=True))


def _damaged(instrument: str) -> CorruptRecordError:
    key = keys.signal_index(instrument)
    return CorruptRecordError(f"{key} is of a wrong type", key=key)


def signal_end_ns(ts_ns: int, granularity: Granularity) -> int:
    """End of the bar that starts at ``ts_ns``: the time a signal's age counts from."""
    return ts_ns + granularity.seconds * NS_PER_SECOND


def queue_signal(pipe: Pipeline, instrument: str, signal: SignalRecord, ttl_s: float) -> None:
    """Queue a write of a signal and its index entry; replaces the signal of the same bar."""
    key = keys.signal(instrument, signal.ts_ns)
    pipe.set(key, signal.model_dump_json(by_alias=True), px=int(ttl_s * 1000))
    pipe.zadd(keys.signal_index(instrument), {key: signal.ts_ns // NS_PER_MS})


def queue_index_trim(pipe: Pipeline, instrument: str, before_ms: int) -> None:
    """Queue the removal of index entries older than ``before_ms``."""
    pipe.zremrangebyscore(keys.signal_index(instrument), "-inf", f"({before_ms}")


def queue_manifold(pipe: Pipeline, manifold: ManifoldRecord) -> None:
    """Queue a write of a live manifold, which expires in five minutes, and its publication."""
    text = manifold.model_dump_json(by_alias=True)
    pipe.set(keys.manifold(manifold.instrument), text, ex=MANIFOLD_TTL_S)
    pipe.publish(keys.MANIFOLD_CHANNEL, text)
