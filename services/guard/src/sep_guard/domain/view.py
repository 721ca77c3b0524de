"""The input of a cycle: everything that is read before a decision is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sep_guard.domain.limits import Controls
from sep_guard.domain.market import ZERO, Account, Market, Weights
from sep_guard.domain.risk.context import UNREADABLE_RISK, RiskContext
from sep_guard.domain.risk.monitor import Observed
from sep_guard.domain.stop_guard import DecidedStop


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All inputs of one cycle, read at ``now_ms``.

    ``link_sound`` means that the gateway reaches the broker and has missed none of its
    transactions. ``risk`` is what the risk limits remember; while it is unreadable no entry
    passes. ``observed`` is the observation behind it, for the writer to persist; None where
    there was none.

    Attributes:
        behind: whether the account lacks a transaction that this stack knows of: nothing is
            opened or resized on it.
        decided_stops: stops of entries, by client order id.
        left_out: configured instruments that the broker does not list.
    """

    account: Account
    markets: Mapping[str, Market]
    weights: Weights | None
    margin_was_open: bool
    controls: Controls
    now_ms: int
    link_sound: bool
    risk: RiskContext = UNREADABLE_RISK
    observed: Observed | None = None
    behind: bool = False
    decided_stops: Mapping[str, DecidedStop] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def weight(self, instrument: str) -> Decimal:
        """The weight of an instrument; 0 without weights."""
        return self.weights.by_instrument.get(instrument, ZERO) if self.weights else ZERO
