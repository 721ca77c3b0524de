"""Settings of the allocator: cadence, score weights and allocation limits."""

from typing import ClassVar

from pydantic import Field
from sep_kit.settings.fields import Finite, Seconds
from sep_kit.settings.relations import Relation
from sep_kit.settings.shared.allocation import AllocationKnobs
from sep_kit.settings.stack import StackSettings

from sep_allocator.domain.allocation import AllocationLimits
from sep_allocator.domain.incumbents import SwitchLimits
from sep_allocator.domain.score import ScoreWeights


class AllocatorSettings(AllocationKnobs, StackSettings):
    """Allocator: cadence and score weights."""

    relations: ClassVar[tuple[Relation, ...]] = (
        Relation(
            names=("alloc_interval_sec", "gates_blob_max_age_sec"),
            holds=lambda interval, age: interval < age,
            sentence="weights expire before they are made anew; allocate more often",
        ),
    )

    alloc_interval_sec: Seconds = 60
    """Seconds between allocations; a new gates blob triggers one at once."""
    alloc_score_weight_coherence: Finite = 0.6
    """Weight of coherence in the score."""
    alloc_score_weight_stability: Finite = 0.2
    """Weight of stability in the score."""
    alloc_score_weight_rupture: Finite = 0.15
    """Weight of 1 - rupture in the score."""
    alloc_score_weight_entropy: Finite = 0.05
    """Weight of 1 - entropy in the score."""
    alloc_score_weight_hazard: Finite = 0.0
    """Subtracted from the score per unit of lambda."""
    alloc_switch_margin: float = Field(0.05, ge=0, le=1, allow_inf_nan=False)
    """Distance by which a challenger's score must exceed that of a held instrument."""
    alloc_switch_evals: int = Field(3, ge=1, le=10_000)
    """Gates blobs in a row for which it must, before it takes the slot."""

    def limits(self) -> AllocationLimits:
        """The limits that allocations are checked against."""
        return AllocationLimits(
            top_k=self.alloc_top_k,
            target_pct=self.risk_alloc_target_pct,
            max_per_position_pct=self.pm_max_per_pos_pct,
            max_blob_age_s=self.gates_blob_max_age_sec,
            exit_minutes=self.session_exit_minutes,
            score_weights=ScoreWeights(
                coherence=self.alloc_score_weight_coherence,
                stability=self.alloc_score_weight_stability,
                rupture=self.alloc_score_weight_rupture,
                entropy=self.alloc_score_weight_entropy,
                hazard=self.alloc_score_weight_hazard,
            ),
            switch=SwitchLimits(
                margin=self.alloc_switch_margin, evaluations=self.alloc_switch_evals
            ),
        )
