"""Reads the changes of parameters that the evaluator records in Valkey."""

from sep_kit.errors import CorruptRecordError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import parse_document
from sep_kit.store.records import ParameterChangeRecord

from sep_journal.domain.parameters import ParametersChange

_log = get_logger("Journal")


async def read_parameter_changes(
    store: Valkey, after: str, size: int
) -> tuple[list[ParametersChange], str]:
    """The changes in at most ``size`` entries after a position, and the last position.

    An entry that can't be read is left out and logged.

    Raises:
        StoreUnavailableError: Valkey does not answer.
    """
    start = f"({after}" if after else "-"
    page = await reply(store.xrange(keys.PARAMETER_CHANGES, start, "+", count=size))
    found: list[ParametersChange] = []
    for entry, fields in page:
        try:
            record = parse_document(
                ParameterChangeRecord, keys.PARAMETER_CHANGES, fields.get(b"change", b"")
            )
        except CorruptRecordError as error:
            _log.warning("change left out", entry=entry.decode(), error=str(error))
            continue
        found.extend(_changes_of(record))
    return found, page[-1][0].decode() if page else after


def _changes_of(record: ParameterChangeRecord) -> list[ParametersChange]:
    return [
        ParametersChange(
            id=record.id,
            ts_ms=record.ts_ms,
            instrument=changed.instrument,
            run=record.run,
            digest=changed.digest_after,
            digest_before=changed.digest_before,
            actor=record.actor,
            reason=record.reason,
            against=changed.against,
            forced_by=record.forced_by,
            rolls_back=record.rolls_back,
        )
        for changed in record.changed
    ]
