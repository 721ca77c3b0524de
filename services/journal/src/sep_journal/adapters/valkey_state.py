"""Gates, weights, kill switch and parameters in Valkey, as notifications observe them."""

from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import parse_document, read_document
from sep_kit.store.records import GatesBlob, KillSwitchChange, WeightsRecord

from sep_journal.adapters.valkey_parameters import read_parameter_changes
from sep_journal.domain.notifications import StackState, SwitchChange
from sep_journal.domain.parameters import ParametersChange

_BEGINNING = "0-0"
_AT_ONCE = 100


class ValkeyState:
    """Implements ``Watched``."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def read(self, before: StackState) -> StackState:
        """Gates, weights, and the changes of kill switch and parameters since an observation."""
        blob, weights = await self._blob(), await self._weights()
        position, changes = await self._changes(before.switch_position)
        reached, parameters = await self._parameters(before.parameters_position)
        return StackState(
            gates=None if blob is None else {i: bool(g) for i, g in blob.gates.items()},
            gates_ms=0 if blob is None else blob.ts,
            reasons={} if blob is None else blob.reasons,
            held=None if weights is None else weights.held,
            held_reason="" if weights is None else weights.held_reason,
            weights_ms=0 if weights is None else weights.ts,
            switch_position=position,
            switch_changes=changes,
            parameters_position=reached,
            parameters_changes=parameters,
        )

    async def _blob(self) -> GatesBlob | None:
        try:
            return await read_document(self._store, GatesBlob, keys.GATES_BLOB)
        except CorruptRecordError:
            return None

    async def _weights(self) -> WeightsRecord | None:
        try:
            return await read_document(self._store, WeightsRecord, keys.ALLOCATION_WEIGHTS)
        except CorruptRecordError:
            return None

    async def _parameters(self, after: str) -> tuple[str, tuple[ParametersChange, ...]]:
        if not after:
            return await self._end(keys.PARAMETER_CHANGES), ()
        found, position = await read_parameter_changes(self._store, after, _AT_ONCE)
        return position, tuple(found)

    async def _end(self, stream: str) -> str:
        newest = await reply(self._store.xrevrange(stream, count=1))
        return newest[0][0].decode() if newest else _BEGINNING

    async def _changes(self, after: str) -> tuple[str, tuple[SwitchChange, ...]]:
        if not after:
            return await self._end(keys.KILL_SWITCH_AUDIT), ()
        found = []
        position = after
        for entry, fields in await reply(
            self._store.xrange(keys.KILL_SWITCH_AUDIT, f"({after}", "+")
        ):
            position = entry.decode()
            try:
                change = parse_document(
                    KillSwitchChange, keys.KILL_SWITCH_AUDIT, fields.get(b"change", b"")
                )
            except CorruptRecordError:
                continue
            found.append(
                SwitchChange(
                    position=position, ts_ms=change.ts, engaged=change.engaged,
                    reason=change.reason, actor=change.actor,
                )
            )  # fmt: skip
        return position, tuple(found)
