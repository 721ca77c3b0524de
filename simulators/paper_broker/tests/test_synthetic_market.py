"""The synthetic market as a function of seed and time."""

from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339
from sep_fx.sessions import NEW_YORK, MarketCalendar, fx_week_open
from sep_paper_broker.market.instruments import LISTINGS
from sep_paper_broker.market.market import quote_at, ticks_between
from sep_paper_broker.market.opening_hours import OpeningHours
from sep_paper_broker.market.synthetic import SyntheticMarket
from sep_paper_broker.market.ticks import Ticks

WEDNESDAY = parse_rfc3339("2025-06-18T00:00:00Z") // NS_PER_SECOND
DAY = 86_400


def market(seed: int = 7, calendar: MarketCalendar = MarketCalendar.ALWAYS) -> SyntheticMarket:
    return SyntheticMarket(seed, OpeningHours(calendar))


def columns(ticks: Ticks) -> list[list[int]]:
    return [ticks.time.tolist(), ticks.bid.tolist(), ticks.ask.tolist()]


def test_prices_do_not_depend_on_earlier_calls() -> None:
    one, other = market(), market()
    for hour in (5, 900, 2):
        one.hour("EUR_USD", WEDNESDAY // 3600 + hour)
    for name in ("EUR_USD", "GBP_JPY"):
        hour = WEDNESDAY // 3600 + 3
        assert columns(one.hour(name, hour)) == columns(other.hour(name, hour))
    assert columns(market(8).hour("EUR_USD", WEDNESDAY // 3600)) != columns(
        market().hour("EUR_USD", WEDNESDAY // 3600)
    )


def test_prices_do_not_jump_between_blocks() -> None:
    for name in ("EUR_USD", "EUR_JPY"):
        mid = market().log_mid(name, WEDNESDAY, WEDNESDAY + DAY)
        assert np.abs(np.diff(mid)).max() < 2e-4


def test_triangles_agree() -> None:
    at = WEDNESDAY * NS_PER_SECOND
    euro, yen, cross = (quote_at(market(), n, at) for n in ("EUR_USD", "USD_JPY", "EUR_JPY"))
    assert euro is not None
    assert yen is not None
    assert cross is not None
    assert abs(euro.mid * yen.mid / cross.mid - 1) < 2e-5


def test_prices_stay_near_their_level_for_years() -> None:
    source = market()
    for name in ("EUR_USD", "USD_JPY", "AUD_NZD"):
        starts = range(WEDNESDAY - 3600 * DAY, WEDNESDAY, 97 * DAY)
        mids = np.exp([source.log_mid(name, s, s + 1)[0] for s in starts])
        assert mids.max() / mids.min() < 1.15
        assert mids.std() / mids.mean() > 0.001


def test_spread_is_small_and_never_crossed() -> None:
    for name, listing in LISTINGS.items():
        ticks = ticks_between(market(), name, WEDNESDAY, WEDNESDAY + 4 * 3600)
        assert (ticks.bid < ticks.ask).all()
        spread = (ticks.ask - ticks.bid) / ticks.bid * 1e4
        assert spread.max() < 3.0
        assert 0.7 < np.median(spread) < 1.6
        assert abs(np.median(spread) / listing.spread_bps - 1) < 0.25


def test_spread_widens_around_the_daily_break() -> None:
    source = market(calendar=MarketCalendar.FX)
    close = WEDNESDAY + 20 * 3600 + 58 * 60
    calm = ticks_between(source, "EUR_USD", close - 3600, close - 1800)
    late = ticks_between(source, "EUR_USD", close - 240, close)
    assert np.mean(late.ask - late.bid) > 1.5 * np.mean(calm.ask - calm.bid)


def test_every_five_seconds_of_an_open_market_have_a_tick() -> None:
    ticks = ticks_between(market(), "EUR_USD", WEDNESDAY, WEDNESDAY + 3600)
    assert len(np.unique(ticks.time // 5)) == 720
    assert len(ticks) < 3600


def test_closed_hours_have_no_ticks_and_open_ones_do() -> None:
    source = market(calendar=MarketCalendar.FX)
    friday = WEDNESDAY + 2 * DAY
    ticks = ticks_between(source, "EUR_USD", friday, friday + 3 * DAY)
    assert all(fx_week_open(int(t)) for t in ticks.time[::97])
    gaps = [later - earlier for earlier, later in pairwise(ticks.time.tolist())]
    assert max(gaps) >= 2 * DAY
    christmas = parse_rfc3339("2025-12-25T15:00:00Z") // NS_PER_SECOND
    assert not len(ticks_between(source, "EUR_USD", christmas, christmas + 3600))


@pytest.mark.parametrize("calendar", list(MarketCalendar))
def test_quote_of_a_closed_market_is_the_last_one(calendar: MarketCalendar) -> None:
    saturday = (WEDNESDAY + 3 * DAY) * NS_PER_SECOND
    quote = quote_at(market(calendar=calendar), "EUR_USD", saturday)
    assert quote is not None
    assert quote.tradeable is (calendar is MarketCalendar.ALWAYS)
    age = (saturday - quote.time_ns) // NS_PER_SECOND
    assert (age > 3 * 3600) is not quote.tradeable


def test_history_before_its_start_is_empty() -> None:
    assert not len(market().hour("EUR_USD", 0))
    assert quote_at(market(), "EUR_USD", 0) is None


@pytest.mark.parametrize("date", ["2025-01-15", "2025-06-18"])
def test_the_new_zealand_dollar_pauses_a_second_time_each_day(date: str) -> None:
    """The pause follows New York time in winter and summer, for this currency only."""
    noon = int(datetime.fromisoformat(f"{date}T12:00:00").replace(tzinfo=NEW_YORK).timestamp())
    begins, ends = noon + 58 * 60, noon + 63 * 60
    priced = market(calendar=MarketCalendar.FX)

    def open_at(name: str, at: int) -> bool:
        quote = quote_at(priced, name, at * NS_PER_SECOND)
        assert quote is not None
        return quote.tradeable

    edges = (begins - 1, begins, ends - 1, ends)
    for name in ("NZD_USD", "AUD_NZD", "NZD_JPY"):
        if name in priced.instruments:
            assert [open_at(name, at) for at in edges] == [True, False, False, True]
            ticks = ticks_between(priced, name, noon, noon + 7200).time
            assert not ((ticks >= begins) & (ticks < ends)).any()
            assert (ticks >= ends).any()
    assert all(open_at("AUD_USD", at) for at in edges)
    always = market(calendar=MarketCalendar.ALWAYS)
    assert ticks_between(always, "NZD_USD", begins, ends).time.size > 0
