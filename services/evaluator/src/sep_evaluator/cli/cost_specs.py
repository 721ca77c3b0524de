"""Costs as they are given on a command line."""

import json
from pathlib import Path

from sep_evaluator.domain.costs import Costs, CostTable


def read_costs(text: str) -> CostTable:
    """Costs from ``NAME=VALUE,NAME=VALUE``, or from the JSON file that the text names.

    Raises:
        ValueError: neither; or a cost is unknown or out of range.
    """
    if "=" in text:
        values: dict[str, float] = {}
        for part in text.split(","):
            name, _, value = part.partition("=")
            try:
                values[name.strip()] = float(value)
            except ValueError:
                raise ValueError(f"{part!r} is not NAME=VALUE with a number") from None
        return CostTable(default=Costs.from_mapping(values))
    try:
        found = json.loads(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{text}: {error.strerror}; give NAME=VALUE,NAME=VALUE or a JSON file"
        ) from None
    except ValueError as error:
        raise ValueError(f"{text} is not JSON: {error}") from None
    return CostTable.from_json(found)
