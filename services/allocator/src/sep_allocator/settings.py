"""What the allocator is set with."""

from sep_kit.service import StackSettings
from sep_kit.settings.knobs import AllocationKnobs, AllocatorKnobs

from sep_allocator.domain.allocation import AllocationLimits
from sep_allocator.domain.score import ScoreWeights


class AllocatorSettings(AllocationKnobs, AllocatorKnobs, StackSettings):
    """The allocator's settings."""

    def limits(self) -> AllocationLimits:
        """What allocations are held against."""
        return AllocationLimits(
            self.alloc_top_k,
            self.risk_alloc_target_pct,
            self.pm_max_per_pos_pct,
            self.gates_blob_max_age_sec,
            self.session_exit_minutes,
            ScoreWeights(
                self.alloc_score_weight_coherence,
                self.alloc_score_weight_stability,
                self.alloc_score_weight_rupture,
                self.alloc_score_weight_entropy,
                self.alloc_score_weight_hazard,
            ),
        )
