"""Coverage of each instrument's candle history in Valkey."""

from sep_fx.granularity import Granularity
from sep_kit.errors import CorruptRecordError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import Document, read_document

from sep_gateway.domain.coverage import Coverage

_log = get_logger("CandleFetcher")


class CoverageRecord(Document):
    """``md:coverage:{instrument}:{granularity}``; whole seconds."""

    since: int
    last: int


class ValkeyCoverageStore:
    """Implements ``ports.CoverageStore``."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def read(self, instrument: str, granularity: Granularity) -> Coverage | None:
        """The complete range of the history; None when there is none or it is corrupt."""
        key = keys.candle_coverage(instrument, granularity)
        try:
            record = await read_document(self._store, CoverageRecord, key)
        except CorruptRecordError as error:
            # Fetching history again takes a minute; trusting a wrong record leaves a gap.
            _log.error("coverage record corrupt, history is fetched again", error=str(error))
            return None
        return None if record is None else Coverage(since=record.since, last=record.last)

    async def write(self, instrument: str, granularity: Granularity, coverage: Coverage) -> None:
        """Persist the complete range of an instrument's history."""
        record = CoverageRecord(since=coverage.since, last=coverage.last)
        key = keys.candle_coverage(instrument, granularity)
        await reply(self._store.set(key, record.model_dump_json()))
