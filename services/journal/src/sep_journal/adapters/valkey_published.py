"""Reads what the other services publish in Valkey."""

import json
from collections.abc import Sequence
from typing import TypeVar

from sep_kit.errors import CorruptRecordError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import Document, parse_document, read_document
from sep_kit.store.records import GatesBlob, KillSwitchChange, WeightsRecord

from sep_journal.adapters.valkey_parameters import read_parameter_changes
from sep_journal.domain.events import EventKind, Gates, NewEvent, Weights, event_of_parameters

_log = get_logger("Journal")
D = TypeVar("D", bound=Document)


class ValkeyPublished:
    """Implements ``Published``."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def gates(self) -> Gates | None:
        """The gates blob."""
        blob = await self._read(GatesBlob, keys.GATES_BLOB)
        if blob is None:
            return None
        gates = {name: bool(gate) for name, gate in blob.gates.items()}
        return Gates(ts_ms=blob.ts, gates=gates, reasons=blob.reasons)

    async def weights(self) -> Weights | None:
        """The allocation's weights."""
        record = await self._read(WeightsRecord, keys.ALLOCATION_WEIGHTS)
        if record is None:
            return None
        return Weights(
            ts_ms=record.ts,
            weights=record.weights,
            held=record.held,
            reason=record.held_reason,
        )

    async def kill_switch(self, after: str, size: int) -> tuple[Sequence[NewEvent], str]:
        """Changes of the kill switch, from its audit log."""
        start = f"({after}" if after else "-"
        page = await reply(self._store.xrange(keys.KILL_SWITCH_AUDIT, start, "+", count=size))
        found = []
        for entry, fields in page:
            try:
                raw = fields.get(b"change", b"")
                change = parse_document(KillSwitchChange, keys.KILL_SWITCH_AUDIT, raw)
            except CorruptRecordError as error:
                _log.warning("change left out", entry=entry.decode(), error=str(error))
                continue
            data = {"kill_switch": change.engaged, "reason": change.reason, "actor": change.actor}
            text = json.dumps(data, separators=(",", ":"))
            found.append(NewEvent(ts_ms=change.ts, kind=EventKind.KILL_SWITCH, data=text))
        return found, page[-1][0].decode() if page else after

    async def parameters(self, after: str, size: int) -> tuple[Sequence[NewEvent], str]:
        """Changes of parameters, from the evaluator's record of them."""
        changes, reached = await read_parameter_changes(self._store, after, size)
        return [event_of_parameters(change) for change in changes], reached

    async def _read(self, kind: type[D], key: str) -> D | None:
        try:
            return await read_document(self._store, kind, key)
        except CorruptRecordError:
            # The services that own the value report it; here it is as if nothing was published.
            return None
