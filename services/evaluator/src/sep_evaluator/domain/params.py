"""Parameters of the strategy, validated together: all faults are reported at once."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from numbers import Real
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class _Range:
    """Allowed values of a parameter; both ends are included, the low one not if ``above``."""

    low: float
    high: float
    whole: bool = False
    above: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} {'above' if self.above else 'from'} {self.low:g} to {self.high:g}"

    def refuses(self, value: object) -> bool:
        # JSON and protobuf may deliver whole numbers as floats, so 60.0 is accepted as 60.
        if isinstance(value, bool) or not isinstance(value, Real):
            return True
        number: Any = value
        if not self.low <= number <= self.high or (self.above and number == self.low):
            return True
        return self.whole and number != math.floor(number)


_SHARE = _Range(0, 1)
_SECONDS = _Range(0, 1e9, whole=True)

_ALLOWED = {
    "c_min": _SHARE,
    "min_stability": _SHARE,
    "max_rupture": _SHARE,
    "max_entropy": _SHARE,
    "direction_lookback": _Range(1, 1e6, whole=True),
    "dir_threshold_bps": _Range(0, 1e4),
    "entry_cooldown_sec": _SECONDS,
    "exit_cooldown_sec": _SECONDS,
    "bracket_sigma_k": _Range(0, 1e6, above=True),
    "bracket_horizon_bars": _Range(1, 1e6, whole=True),
    "reward_risk": _Range(0, 1e6, above=True),
    "min_stop_spreads": _Range(0, 1e6),
    "max_spread_bps": _Range(0, 1e4),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyParams:
    """Parameters of entries, exits and brackets.

    Shares are in [0, 1]; ``*_bps`` in basis points of the mid; ``*_sec`` in seconds of
    event time; ``direction_lookback`` and ``bracket_horizon_bars`` in bars.

    Raises:
        ValueError: lists every parameter out of range, with its value and what is allowed.
    """

    c_min: float = 0.55
    min_stability: float = 0.40
    max_rupture: float = 0.60
    max_entropy: float = 0.75
    direction_lookback: int = 12
    dir_threshold_bps: float = 2.0
    entry_cooldown_sec: int = 60
    exit_cooldown_sec: int = 60
    bracket_sigma_k: float = 1.5
    bracket_horizon_bars: int = 60
    reward_risk: float = 1.5
    min_stop_spreads: float = 3.0
    max_spread_bps: float = 3.0

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        _raise_if_any(_faults(values))
        for name, value in values.items():
            number = int(value) if _ALLOWED[name].whole else float(value)
            object.__setattr__(self, name, number)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """The parameters in a mapping, with defaults for the others.

        Raises:
            ValueError: unknown names and values out of range, all listed in one message.
        """
        _raise_if_any(_faults(mapping))
        known: dict[str, Any] = dict(mapping)
        return cls(**known)

    def as_dict(self) -> dict[str, int | float]:
        """The parameters by name, in definition order."""
        return asdict(self)


@lru_cache(maxsize=1024)
def digest_of(params: StrategyParams) -> str:
    """Sixteen hexadecimal digits that identify these parameters."""
    text = json.dumps(params.as_dict(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _faults(values: Mapping[str, object]) -> list[str]:
    faults: list[str] = []
    for name, value in values.items():
        allowed = _ALLOWED.get(name)
        if allowed is None:
            names = ", ".join(_ALLOWED)
            faults.append(f"{name} is {value!r}: unknown parameter, allowed are {names}")
        elif allowed.refuses(value):
            faults.append(f"{name} is {value!r}, allowed is {allowed}")
    return faults


def _raise_if_any(faults: list[str]) -> None:
    if faults:
        raise ValueError("; ".join(faults))
