"""How much of an entry fits within the loss at its stop, leverage and one currency."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from sep_guard.domain.risk.exposure import Exposure, ExposureRequest, bounds, with_entry
from sep_guard.domain.risk.limits import LimitName

from .limits import LIMITS

NAV = Decimal(100_000)
EMPTY = Exposure(by_currency={})


def request(units: str, *, side: int = 1, instrument: str = "EUR_USD", loss: str = "0.0012",
            value: str = "1.1") -> ExposureRequest:  # fmt: skip
    return ExposureRequest(
        instrument=instrument,
        side=side,
        units=Decimal(units),
        current=Decimal(0),
        unit_value=Decimal(value),
        unit_loss=Decimal(loss),
    )


def filled(exposure: Exposure, wanted: ExposureRequest, units: Decimal) -> Exposure:
    return with_entry(exposure, wanted.instrument, wanted.side * units, wanted.unit_value)


def test_a_stop_far_away_cuts_the_entry_to_the_loss_allowed() -> None:
    (bound,) = bounds(request("50000", loss="0.2"), EMPTY, NAV, LIMITS)

    assert bound.limit is LimitName.LOSS_AT_STOP
    assert bound.units == 2_500
    assert bound.observed == Decimal("0.1")


def test_an_entry_without_a_stop_gets_nothing() -> None:
    found = bounds(request("100", loss="0"), EMPTY, NAV, LIMITS)

    assert [b.units for b in found if b.limit is LimitName.LOSS_AT_STOP] == [0]


def test_three_correlated_pairs_stay_within_one_currency() -> None:
    exposure = EMPTY
    for instrument in ("EUR_USD", "GBP_USD", "AUD_USD"):
        wanted = request("500000", instrument=instrument, loss="0.0001", value="1")
        units = min([wanted.units, *(b.units for b in bounds(wanted, exposure, NAV, LIMITS))])
        exposure = filled(exposure, wanted, units)

    assert exposure.by_currency["USD"] == -10 * NAV
    assert exposure.gross == 10 * NAV


def test_an_entry_that_offsets_a_currency_has_its_room() -> None:
    exposure = filled(EMPTY, request("900000", value="1", loss="0.0001"), Decimal(900_000))
    offsetting = request("900000", side=-1, instrument="GBP_USD", value="1", loss="0.0001")

    assert not bounds(offsetting, exposure, NAV, LIMITS)


PAIRS = ("EUR_USD", "GBP_USD", "EUR_GBP", "USD_JPY", "EUR_JPY", "AUD_USD", "NZD_USD")


@given(
    wanted=st.lists(
        st.tuples(
            st.sampled_from(PAIRS),
            st.sampled_from([-1, 1]),
            st.integers(1, 5_000_000),
            st.decimals("0.00001", "0.5", places=5),
        ),
        max_size=12,
    )
)
def test_no_sequence_of_entries_passes_a_limit(
    wanted: list[tuple[str, int, int, Decimal]],
) -> None:
    exposure = EMPTY
    for instrument, side, units, loss in wanted:
        entry = request(str(units), side=side, instrument=instrument, loss=str(loss), value="1.25")
        allowed = min([entry.units, *(b.units for b in bounds(entry, exposure, NAV, LIMITS))])
        exposure = filled(exposure, entry, allowed)
        assert allowed * loss <= LIMITS.max_loss_per_trade * NAV * (1 + Decimal("1e-20"))
        assert exposure.gross <= LIMITS.max_leverage * NAV * (1 + Decimal("1e-20"))
        for net in exposure.by_currency.values():
            assert abs(net) <= LIMITS.max_currency_leverage * NAV * (1 + Decimal("1e-20"))
