"""Hysteresis buffers as configured."""

from collections.abc import Mapping
from dataclasses import dataclass

from sep_kit.logging import get_logger

from sep_evaluator.domain.gates import clamp_buffer

_log = get_logger("Evaluator")


@dataclass(frozen=True, slots=True)
class Buffers:
    """Hysteresis buffers inside their limits, as shares of the floors."""

    default: float
    by_instrument: Mapping[str, float]

    @classmethod
    def of(cls, default: float, pairs: Mapping[str, float]) -> "Buffers":
        """Clamp the configured buffers and log each one that was out of range."""
        for name, value in {"HYSTERESIS_DEFAULT": default, **pairs}.items():
            if value != clamp_buffer(value):
                _log.warning("buffer clamped", name=name, value=value, to=clamp_buffer(value))
        return cls(clamp_buffer(default), {i: clamp_buffer(b) for i, b in pairs.items()})

    def of_instrument(self, instrument: str) -> float:
        """The buffer of an instrument."""
        return self.by_instrument.get(instrument, self.default)
