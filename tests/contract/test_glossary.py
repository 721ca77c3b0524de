"""``docs/glossary.md`` names each thing once, and explains every reason of a decision."""

import re
from collections import Counter
from enum import StrEnum
from pathlib import Path

import pytest
from sep_allocator.domain.allocation import HoldReason
from sep_evaluator.domain.gates import GateReason
from sep_gateway.domain.account_kind import AccountKind
from sep_guard.domain.checks import Refusal
from sep_guard.domain.drain import DrainReason
from sep_guard.domain.sizing import SizeReason
from sep_guard.domain.stop_guard import StopFault, StopStep
from sep_guard.domain.target_side import Cause

TERMS, REASONS = (
    (Path(__file__).parents[2] / "docs" / "glossary.md").read_text().split("\n## Reasons\n")
)


@pytest.mark.parametrize(
    "kind",
    [
        AccountKind, Cause, DrainReason, GateReason, HoldReason, Refusal, SizeReason,
        StopFault, StopStep,
    ],
)  # fmt: skip
def test_every_reason_has_a_sentence(kind: type[StrEnum]) -> None:
    missing = [reason.value for reason in kind if f"`{reason.value}`" not in REASONS]
    assert missing == [], (
        f"add a row for each to the section Reasons of docs/glossary.md: {missing}"
    )


def test_no_term_has_two_meanings() -> None:
    rows = re.findall(r"^\| (.+?) \|", TERMS, re.M)
    terms = Counter(word for row in rows for word in row.split(", ") if row not in ("term", "---"))
    assert [term for term, count in terms.items() if count > 1] == []
