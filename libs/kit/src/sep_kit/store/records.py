"""Schemas of the documents that services hand each other."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sep_kit.store.documents import Document, Finite

Flag = Annotated[int, Field(ge=0, le=1)]
UnitInterval = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class MetricsRecord(Document):
    """The four metrics of a window."""

    coherence: UnitInterval
    stability: UnitInterval
    entropy: UnitInterval
    rupture: UnitInterval


class CoeffsRecord(Document):
    """Volatility and hazard of the same window, per bar."""

    sigma_eff: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    # "lambda" is what the contract calls the hazard, and a keyword here.
    hazard: UnitInterval = Field(alias="lambda")


class BracketRecord(Document):
    """Where an entry's brackets would stand, in price units from it.

    ``max_spread`` is the widest spread at which the stop is still far enough away.
    """

    stop_distance: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    take_profit_distance: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    max_spread: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None


class SignalRecord(Document):
    """``sep:signal:{instrument}:{ts_ns}``: what one complete candle says.

    ``ts_ns`` is the start of the bar; ``price`` its closing mid; ``slope_bps`` and
    ``direction`` are absent until coherence is known a lookback ago; ``bracket`` while
    the price does not move at all.
    """

    ts_ns: int
    price: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    metrics: MetricsRecord
    coeffs: CoeffsRecord
    slope_bps: Finite | None = None
    direction: Literal[-1, 0, 1] = 0
    bracket: BracketRecord | None = None


class ManifoldRecord(Document):
    """``ws:last:manifold:{instrument}``: ``ts_ms`` is the price's time, never that of writing."""

    instrument: str
    ts_ms: int
    price: str
    metrics: MetricsRecord
    coeffs: CoeffsRecord


class GatesBlob(Document):
    """``opt:rolling:gates_blob``: the one thing the allocator trusts. ``ts`` in ms."""

    ts: Annotated[int, Field(ge=0)]
    gates: dict[str, Flag]
    cooldowns: dict[str, Flag]
    bufs: dict[str, Finite]
    reasons: dict[str, list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _same_instruments(self) -> Self:
        if not self.gates.keys() == self.cooldowns.keys() == self.bufs.keys():
            raise ValueError("gates, cooldowns and bufs do not name the same instruments")
        return self


class WeightsRecord(Document):
    """``risk:allocation_weights``; weights are fractions of margin available, times in ms."""

    ts: int
    gates_ts: int | None
    weights: dict[str, UnitInterval]
    scores: dict[str, Finite]
    top_k: int
    held: bool
    held_reason: str = ""


class BrokerLinkRecord(Document):
    """``ops:broker_link``: how the gateway stands with the broker; ``ts`` in ms.

    While ``ledger_contiguous`` is False, transactions may have been missed: no entry.
    """

    ts: int
    connected: bool
    last_contact_ms: int | None
    error: str = ""
    ledger_contiguous: bool = True
    last_transaction_id: int | None = None
    price_stream_connected: bool = False


class KillSwitchChange(Document):
    """One entry of the kill switch's audit; ``ts`` in ms."""

    ts: int
    engaged: bool
    reason: str
    actor: str
