"""Limits of the allocation, on which allocator and guard must agree."""

from decimal import Decimal

from pydantic import Field

from sep_kit.settings.fields import Knobs


class AllocationKnobs(Knobs):
    """Limits of the allocation; allocator and guard must agree on them."""

    alloc_top_k: int = Field(3, ge=1, le=100)
    """Number of instruments that get weights."""
    risk_alloc_target_pct: Decimal = Field(Decimal("0.30"), gt=0, le=Decimal("0.30"))
    """Share of margin available that may be in use."""
    pm_max_per_pos_pct: Decimal = Field(Decimal("0.35"), gt=0, le=1)
    """Share of the budget that one instrument may take."""
