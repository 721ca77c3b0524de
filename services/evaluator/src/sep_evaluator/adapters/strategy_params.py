"""``opt:best_config:{instrument}``: the parameters that an optimisation chose."""

import json
from collections.abc import Sequence

from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply

from sep_evaluator.domain.params import StrategyParams

_log = get_logger("StrategyParams")


class StoredParams:
    """Reads parameters; logs an invalid document once and uses the defaults."""

    def __init__(self, store: Valkey) -> None:
        self._store = store
        self._refused: dict[str, bytes] = {}

    async def load(self, instruments: Sequence[str]) -> dict[str, StrategyParams]:
        """Parameters of each instrument; the defaults if none are stored or they are invalid.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        found = await reply(self._store.mget([keys.best_config(i) for i in instruments]))
        return {i: self._parse(i, raw) for i, raw in zip(instruments, found, strict=True)}

    def _parse(self, instrument: str, raw: bytes | None) -> StrategyParams:
        if raw is None:
            return StrategyParams()
        try:
            fields = json.loads(raw)
            if not isinstance(fields, dict):
                raise ValueError("not a JSON object")
            return StrategyParams.from_mapping(fields)
        except (ValueError, RecursionError) as error:
            if self._refused.get(instrument) != raw:
                self._refused[instrument] = raw
                _log.warning("parameters refused", instrument=instrument, error=str(error))
            return StrategyParams()
