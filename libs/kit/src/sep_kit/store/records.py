"""Schemas of the JSON documents that services share through Valkey."""

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
    # Stored as "lambda", which is a keyword in Python.
    hazard: UnitInterval = Field(alias="lambda")


class BracketRecord(Document):
    """Distances of stop loss and take profit from the entry, in price units.

    ``max_spread`` is the widest spread at which the stop loss is still valid.
    """

    stop_distance: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    take_profit_distance: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    max_spread: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None


class SignalParamsRecord(Document):
    """The parameters that the instrument is judged by, as far as an entry or exit needs them."""

    c_min: UnitInterval
    min_stability: UnitInterval
    max_rupture: UnitInterval
    max_entropy: UnitInterval
    max_spread_bps: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    entry_cooldown_sec: Annotated[int, Field(ge=0)]
    exit_cooldown_sec: Annotated[int, Field(ge=0)]


class SignalRecord(Document):
    """``sep:signal:{instrument}:{ts_ns}``: the signal of one complete candle.

    ``ts_ns`` is the start of the bar and ``price`` its closing mid. ``slope_bps`` is absent, and
    ``direction`` 0, until coherence is known one lookback earlier. ``bracket`` is absent while the
    price does not move. ``params`` is absent in signals of earlier versions.
    """

    ts_ns: int
    price: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    metrics: MetricsRecord
    coeffs: CoeffsRecord
    slope_bps: Finite | None = None
    direction: Literal[-1, 0, 1] = 0
    bracket: BracketRecord | None = None
    params: SignalParamsRecord | None = None


class ManifoldRecord(Document):
    """``ws:last:manifold:{instrument}``; ``ts_ms`` is the time of the price, not of the write."""

    instrument: str
    ts_ms: int
    price: str
    metrics: MetricsRecord
    coeffs: CoeffsRecord


class ParametersRecord(Document):
    """Parameters in force: their digest, and the research run that judged them, if any."""

    digest: str
    run: str = ""


class GatesBlob(Document):
    """``opt:rolling:gates_blob``: the published gates, 1 for open; ``ts`` in ms.

    ``params`` are the parameters that each gate was judged by; an instrument whose stored ones are
    invalid is left out.
    """

    ts: Annotated[int, Field(ge=0)]
    gates: dict[str, Flag]
    cooldowns: dict[str, Flag]
    bufs: dict[str, Finite]
    reasons: dict[str, list[str]] = Field(default_factory=dict)
    params: dict[str, ParametersRecord] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _same_instruments(self) -> Self:
        if not self.gates.keys() == self.cooldowns.keys() == self.bufs.keys():
            raise ValueError("gates, cooldowns and bufs do not name the same instruments")
        return self


class ChangedParametersRecord(Document):
    """What a change of parameters did to one instrument; ``before`` is absent if it was invalid.

    The digests are empty in records of earlier versions.
    """

    instrument: str
    before: dict[str, float] | None
    after: dict[str, float]
    against: tuple[str, ...] = ()
    digest_before: str = ""
    digest_after: str = ""


class ParameterChangeRecord(Document):
    """An entry of ``opt:config_changes``, and a value of ``opt:config_origins``."""

    id: str
    ts_ms: int
    actor: str
    reason: str
    run: str = ""
    forced_by: str = ""
    rolls_back: str = ""
    changed: tuple[ChangedParametersRecord, ...]


class ChallengeRecord(Document):
    """A challenger's claim on an incumbent's slot, and for how many blobs in a row it stood."""

    challenger: str
    incumbent: str
    evaluations: Annotated[int, Field(ge=0)]


class WeightsRecord(Document):
    """``risk:allocation_weights``; weights are fractions of margin available, times in ms.

    ``held`` means that all weights are the previous ones, ``held_instruments`` names single
    ones. ``challenges``, ``displaced`` and ``switched_ms`` are what the next allocation needs of
    this one.
    """

    ts: int
    gates_ts: int | None
    weights: dict[str, UnitInterval]
    scores: dict[str, Finite]
    top_k: int
    held: bool
    held_reason: str = ""
    held_instruments: list[str] = Field(default_factory=list)
    challenges: list[ChallengeRecord] = Field(default_factory=list)
    displaced: list[str] = Field(default_factory=list)
    switched_ms: int | None = None


class BrokerLinkRecord(Document):
    """``ops:broker_link``: the gateway's connection to the broker; ``ts`` in ms.

    While ``ledger_contiguous`` is False, transactions may have been missed and no entry passes.
    """

    ts: int
    connected: bool
    last_contact_ms: int | None
    error: str = ""
    ledger_contiguous: bool = True
    last_transaction_id: int | None = None
    price_stream_connected: bool = False
    left_out: tuple[str, ...] = ()
    unsupported_kinds: tuple[str, ...] = ()
    clock_skew_s: float | None = None


class KillSwitchChange(Document):
    """One entry of the kill switch's audit log; ``ts`` in ms."""

    ts: int
    engaged: bool
    reason: str
    actor: str
