"""Changes of parameters in Valkey: the stream of all, and the one behind each value in force."""

import json
from collections.abc import Mapping, Sequence
from typing import cast

from redis.asyncio.client import Pipeline
from sep_kit.errors import CorruptRecordError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import Document, parse_document

from sep_evaluator.domain.parameter_changes import Change, Changed
from sep_evaluator.domain.params import StrategyParams

_log = get_logger("ParameterChanges")
_FIELD = "change"
_PAGE = 500


class _ChangedRecord(Document):
    instrument: str
    before: dict[str, float] | None
    after: dict[str, float]
    against: tuple[str, ...] = ()

    def changed(self) -> Changed:
        before = None if self.before is None else StrategyParams.from_mapping(self.before)
        return Changed(
            instrument=self.instrument,
            before=before,
            after=StrategyParams.from_mapping(self.after),
            against=self.against,
        )


class ChangeRecord(Document):
    """A stored change."""

    id: str
    ts_ms: int
    actor: str
    reason: str
    run: str = ""
    forced_by: str = ""
    rolls_back: str = ""
    changed: tuple[_ChangedRecord, ...]

    @classmethod
    def of(cls, change: Change) -> "ChangeRecord":
        """The record of a change."""
        return cls(
            id=change.id,
            ts_ms=change.ts_ms,
            actor=change.actor,
            reason=change.reason,
            run=change.run,
            forced_by=change.forced_by,
            rolls_back=change.rolls_back,
            changed=tuple(
                _ChangedRecord(
                    instrument=c.instrument,
                    before=None if c.before is None else c.before.as_dict(),
                    after=c.after.as_dict(),
                    against=c.against,
                )
                for c in change.changed
            ),
        )

    def change(self) -> Change:
        """The change of a record.

        Raises:
            ValueError: a parameter is unknown or out of range, as after a downgrade.
        """
        return Change(
            id=self.id,
            ts_ms=self.ts_ms,
            actor=self.actor,
            reason=self.reason,
            run=self.run,
            forced_by=self.forced_by,
            rolls_back=self.rolls_back,
            changed=tuple(c.changed() for c in self.changed),
        )


def queue_change(pipe: Pipeline, change: Change) -> None:
    """Queue a change: the parameters, what put them into force, and the entry of the stream."""
    record = ChangeRecord.of(change).model_dump_json()
    for c in change.changed:
        if c.after == StrategyParams():
            pipe.delete(keys.best_config(c.instrument))
        else:
            pipe.set(keys.best_config(c.instrument), json.dumps(c.after.as_dict()))
        pipe.hset(keys.PARAMETER_ORIGINS, c.instrument, record)
    pipe.xadd(keys.PARAMETER_CHANGES, {_FIELD: record})


async def read_origins(store: Valkey) -> dict[str, Change]:
    """The last change of each instrument; one that can't be read is left out and logged.

    Raises:
        StoreUnavailableError: Valkey does not answer.
    """
    found = cast(Mapping[bytes, bytes], await reply(store.hgetall(keys.PARAMETER_ORIGINS)))
    changes = {name.decode(): _parse(keys.PARAMETER_ORIGINS, raw) for name, raw in found.items()}
    return {name: change for name, change in changes.items() if change is not None}


async def read_changes(store: Valkey, limit: int, instrument: str | None) -> list[Change]:
    """Changes, the newest first; those that can't be read are left out and logged.

    Raises:
        StoreUnavailableError: Valkey does not answer.
    """
    changes: list[Change] = []
    newest = "+"
    while len(changes) < limit:
        page = cast(
            Sequence[tuple[bytes, Mapping[bytes, bytes]]],
            await reply(store.xrevrange(keys.PARAMETER_CHANGES, max=newest, count=_PAGE)),
        )
        for _, fields in page:
            change = _parse(keys.PARAMETER_CHANGES, fields.get(_FIELD.encode(), b""))
            if change is not None and (instrument is None or change.of(instrument)):
                changes.append(change)
        if len(page) < _PAGE:
            break
        newest = f"({page[-1][0].decode()}"
    return changes[:limit]


def _parse(key: str, raw: bytes) -> Change | None:
    try:
        return parse_document(ChangeRecord, key, raw).change()
    except (CorruptRecordError, ValueError) as error:
        _log.error("change left out", key=key, error=str(error))
        return None
