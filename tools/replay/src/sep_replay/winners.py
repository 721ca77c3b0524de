"""Reads promoted parameters: one JSON object of ``opt:best_config`` values by instrument."""

import json
from pathlib import Path

from sep_evaluator.domain.params import StrategyParams


def read_winners(path: Path) -> dict[str, StrategyParams]:
    """The parameters by instrument; parameters that are not named have their defaults.

    Raises:
        OSError: the file can't be read.
        ValueError: it is not such an object; names the instrument, and every fault of it.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not a JSON object of parameters by instrument")
    return {str(name): _params(path, str(name), fields) for name, fields in found.items()}


def _params(path: Path, instrument: str, fields: object) -> StrategyParams:
    if not isinstance(fields, dict):
        raise ValueError(f"{path}: {instrument} is not an object of parameters")
    try:
        return StrategyParams.from_mapping(fields)
    except ValueError as error:
        raise ValueError(f"{path}: {instrument}: {error}") from None
