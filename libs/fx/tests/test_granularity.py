import pytest
from sep_fx.granularity import Granularity


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("S5", 5),
        ("S30", 30),
        ("M1", 60),
        ("M15", 900),
        ("H1", 3600),
        ("H12", 43_200),
        ("D", 86_400),
    ],
)
def test_a_bar_is_as_long_as_its_name_says(name: str, seconds: int) -> None:
    assert Granularity(name).seconds == seconds


def test_granularities_are_listed_from_short_to_long_and_divide_a_day() -> None:
    lengths = [g.seconds for g in Granularity]
    assert lengths == sorted(set(lengths))
    assert all(86_400 % seconds == 0 for seconds in lengths)


@pytest.mark.parametrize("name", ["W", "M", "m1", "M3", "", "S0"])
def test_unsupported_granularities_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Granularity"):
        Granularity(name)
