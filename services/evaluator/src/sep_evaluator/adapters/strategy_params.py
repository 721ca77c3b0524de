"""``opt:best_config:{instrument}``: the parameters that an optimisation chose."""

import json
from collections.abc import Sequence

from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, store_errors, wrong_type

from sep_evaluator.domain.params import StrategyParams

_log = get_logger("StrategyParams")


class StoredParams:
    """Reads parameters, and logs an invalid document once."""

    def __init__(self, store: Valkey) -> None:
        self._store = store
        self._refused: dict[str, str] = {}

    async def load(
        self, instruments: Sequence[str]
    ) -> dict[str, StrategyParams | CorruptRecordError]:
        """Parameters of each instrument; the defaults if none are stored, an error if invalid.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for instrument in instruments:
                # Not MGET, which gives nothing for a key of a wrong type.
                pipe.get(keys.best_config(instrument))
            found = await pipe.execute(raise_on_error=False)
        return {i: self._checked(i, raw) for i, raw in zip(instruments, found, strict=True)}

    def _checked(
        self, instrument: str, raw: bytes | Exception | None
    ) -> StrategyParams | CorruptRecordError:
        if isinstance(raw, Exception) and not wrong_type(raw):
            raise StoreUnavailableError(f"Valkey refused: {raw}")
        try:
            params = _parse(raw)
        except (ValueError, RecursionError) as error:
            fault = str(error)
        else:
            self._refused.pop(instrument, None)
            return params
        if self._refused.get(instrument) != fault:
            self._refused[instrument] = fault
            _log.error(
                "parameters refused, the gate is closed until they are corrected",
                instrument=instrument,
                key=keys.best_config(instrument),
                error=fault,
            )
        return CorruptRecordError(f"{keys.best_config(instrument)}: {fault}")


def _parse(raw: bytes | Exception | None) -> StrategyParams:
    if raw is None:
        return StrategyParams()
    if isinstance(raw, Exception):
        raise ValueError(f"not a string: {raw}")
    fields = json.loads(raw)
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    return StrategyParams.from_mapping(fields)
