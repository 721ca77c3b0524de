"""The parameters behind the gates, from the gates blob."""

from collections.abc import Mapping

from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import read_document
from sep_kit.store.records import GatesBlob

from sep_guard.ports import ParametersInForce


class GatesBlobParameters:
    """Implements ``JudgedParameters``."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def read(self) -> Mapping[str, ParametersInForce]:
        """By instrument; none while the blob can't be read, which other checks report."""
        try:
            blob = await read_document(self._store, GatesBlob, keys.GATES_BLOB)
        except (CorruptRecordError, StoreUnavailableError):
            return {}
        if blob is None:
            return {}
        return {i: ParametersInForce(p.digest, p.run) for i, p in blob.params.items()}
