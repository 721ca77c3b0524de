"""The input of a cycle: everything that is read before a decision is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sep_guard.domain.limits import Controls
from sep_guard.domain.market import ZERO, Account, Market, Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All inputs of one cycle, read at ``now_ms``.

    ``link_sound`` means that the gateway reaches the broker and has missed none of its
    transactions.
    """

    account: Account
    markets: Mapping[str, Market]
    weights: Weights | None
    margin_was_open: bool
    controls: Controls
    now_ms: int
    link_sound: bool

    def weight(self, instrument: str) -> Decimal:
        """The weight of an instrument; 0 without weights."""
        return self.weights.by_instrument.get(instrument, ZERO) if self.weights else ZERO
