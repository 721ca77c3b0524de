"""A held instrument keeps its slot until another is clearly and steadily better."""

from hypothesis import given
from hypothesis import strategies as st
from sep_allocator.domain.incumbents import Challenge, Selection, SwitchLimits, select

LIMITS = SwitchLimits(margin=0.05, evaluations=3)


def play(
    rounds: list[dict[str, float]], held: set[str], top_k: int = 1, *, new_blob: bool = True
) -> list[Selection]:
    challenges: dict[Challenge, int] = {}
    found = []
    for scores in rounds:
        selection = select(scores, held, challenges, top_k, LIMITS, new_blob=new_blob)
        challenges = dict(selection.challenges)
        held = set(selection.selected)
        found.append(selection)
    return found


def test_flat_slots_go_by_score_and_ties_by_name() -> None:
    (found,) = play([{"A": 0.5, "C": 0.7, "B": 0.5}], set(), top_k=2)

    assert found.selected == ("C", "A")


def test_a_challenger_needs_the_margin_three_blobs_in_a_row() -> None:
    better = {"A": 0.50, "B": 0.56}
    found = play([better, better, better], {"A"})
    assert [s.selected for s in found] == [("A",), ("A",), ("B",)]

    nearly = {"A": 0.50, "B": 0.54}
    found = play([better, better, nearly, better, better], {"A"})
    assert all(s.selected == ("A",) for s in found)


def test_the_same_blob_again_counts_nothing() -> None:
    found = play([{"A": 0.5, "B": 0.9}] * 10, {"A"}, new_blob=False)

    assert all(s.selected == ("A",) for s in found)


def test_a_challenge_counts_for_its_own_pair_of_instruments() -> None:
    """Another challenger, or another weakest incumbent, begins at one."""
    rounds = [{"A": 0.5, "B": 0.6}, {"A": 0.5, "C": 0.6}, {"A": 0.5, "B": 0.6}]
    found = play(rounds, {"A"})

    assert all(s.selected == ("A",) for s in found)


def test_the_weakest_incumbent_loses_its_slot() -> None:
    scores = {"A": 0.9, "B": 0.4, "C": 0.6}
    found = play([scores] * 3, {"A", "B"}, top_k=2)

    assert found[-1].selected == ("A", "C")


def test_more_held_instruments_than_slots_leave_the_best() -> None:
    (found,) = play([{"A": 0.4, "B": 0.6, "C": 0.5}], {"A", "B", "C"}, top_k=2)

    assert found.selected == ("B", "C")


def test_a_challenge_that_may_not_succeed_yet_does_as_soon_as_it_may() -> None:
    better, challenges = {"A": 0.5, "B": 0.9}, dict[Challenge, int]()
    for may in (False, False, False, False, True):
        found = select(better, {"A"}, challenges, 1, LIMITS, new_blob=True, may_switch=may)
        challenges = dict(found.challenges)
        assert found.selected == (("B",) if may else ("A",))


SCORES = st.dictionaries(st.sampled_from("ABCDEFGH"), st.floats(0.01, 1.0), max_size=8)


@given(
    rounds=st.lists(SCORES, max_size=30), held=st.sets(st.sampled_from("ABCDEFGH")),
    top_k=st.integers(1, 4),
)  # fmt: skip
def test_slots_are_never_exceeded_and_held_candidates_leave_one_at_a_time(
    rounds: list[dict[str, float]], held: set[str], top_k: int
) -> None:
    challenges: dict[Challenge, int] = {}
    for scores in rounds:
        found = select(scores, held, challenges, top_k, LIMITS, new_blob=True)
        assert len(found.selected) == min(top_k, len(scores))
        assert set(found.selected) <= scores.keys()
        slots = sorted((i for i in held if i in scores), key=lambda i: (-scores[i], i))[:top_k]
        assert len(set(slots) - set(found.selected)) <= 1
        held, challenges = set(found.selected), dict(found.challenges)
