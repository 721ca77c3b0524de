"""What trading costs beside the spread that the candles have: slippage, financing, delay.

All are 0 unless given, and then the figures are those of the candles alone, to the byte.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Real
from typing import Any, Self

from sep_evaluator.domain.params import StrategyParams, digest_of

DEFAULT = "default"
_MOST = {"slippage_bps": 1e3, "slippage_spreads": 1e3, "financing_long_bps": 1e3,
         "financing_short_bps": 1e3, "delay_sec": 1e6}  # fmt: skip
_BOTH_SIDES = "financing_bps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Costs of one instrument.

    Attributes:
        slippage_bps, slippage_spreads: how much worse than the quote a fill is, in basis points of
            the price and in spreads, added up. A take profit is a limit order and never slips.
        financing_long_bps, financing_short_bps: basis points of the position's value for each
            17:00 New York over which it is held; below 0 it earns.
        delay_sec: from the end of the signal's bar until the order is in the market. It fills at
            the open of the first bar from then on, since a tape has no prices inside a bar.

    Raises:
        ValueError: lists every value out of range.
    """

    slippage_bps: float = 0.0
    slippage_spreads: float = 0.0
    financing_long_bps: float = 0.0
    financing_short_bps: float = 0.0
    delay_sec: int = 0

    def __post_init__(self) -> None:
        faults = []
        for name, most in _MOST.items():
            value = getattr(self, name)
            least = -most if name.startswith("financing") else 0
            whole = name == "delay_sec"
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not least <= value <= most or (whole and value != int(value)):
                kind = "a whole number" if whole else "a number"
                faults.append(f"{name} is {value!r}, allowed is {kind} from {least:g} to {most:g}")
                continue
            object.__setattr__(self, name, int(value) if whole else float(value))
        if faults:
            raise ValueError("; ".join(faults))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """The costs in a mapping; ``financing_bps`` sets both sides.

        Raises:
            ValueError: unknown names or values out of range.
        """
        values = dict(mapping)
        if _BOTH_SIDES in values:
            both = values.pop(_BOTH_SIDES)
            values = {"financing_long_bps": both, "financing_short_bps": both, **values}
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            names = ", ".join([*_MOST, _BOTH_SIDES])
            raise ValueError(f"{', '.join(unknown)}: unknown cost, allowed are {names}")
        return cls(**values)

    @property
    def has_financing(self) -> bool:
        """Whether holding a position over 17:00 New York costs or earns anything."""
        return bool(self.financing_long_bps or self.financing_short_bps)

    def times(self, factor: float) -> "Costs":
        """For candles whose spread is multiplied as well, with which slippage in spreads grows.

        The delay stays, and so does financing that earns.
        """

        def charged(bps: float) -> float:
            return bps * factor if bps > 0 else bps

        return replace(
            self,
            slippage_bps=self.slippage_bps * factor,
            financing_long_bps=charged(self.financing_long_bps),
            financing_short_bps=charged(self.financing_short_bps),
        )


NO_COSTS = Costs()


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTable:
    """Costs by instrument; ``default`` is for those that are not named."""

    default: Costs = NO_COSTS
    by_instrument: Mapping[str, Costs] = field(default_factory=dict)

    def of(self, instrument: str) -> Costs:
        """The costs of an instrument."""
        return self.by_instrument.get(instrument, self.default)

    def as_json(self) -> dict[str, Any]:
        """As ``from_json`` reads it."""
        named = {i: asdict(c) for i, c in sorted(self.by_instrument.items())}
        return {DEFAULT: asdict(self.default), **named}

    @classmethod
    def from_json(cls, found: object) -> "CostTable":
        """From a JSON object of costs by instrument, and ``default`` for the others.

        Raises:
            ValueError: it is no such object; names the instrument.
        """
        if not isinstance(found, dict):
            raise ValueError("costs are a JSON object of costs by instrument, or default")
        table = {}
        for name, values in found.items():
            if not isinstance(values, dict):
                raise ValueError(f"{name} is not an object of costs")
            try:
                table[name] = Costs.from_mapping(values)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return cls(default=table.pop(DEFAULT, NO_COSTS), by_instrument=table)


NO_COST_TABLE = CostTable()


def digest_with_costs(params: StrategyParams, costs: Costs) -> str:
    """Sixteen hexadecimal digits that identify what a gate is judged by.

    Those of the parameters without costs. Other costs make other figures, which must not be held
    against floors of these: they start a history of their own, as other parameters do.
    """
    digest = digest_of(params)
    if costs == NO_COSTS:
        return digest
    text = json.dumps([digest, asdict(costs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
