"""Costs: the parts add up to results, and results and transfers to the balance, exactly."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from sep_journal.domain.booking import Balance, Execution, book
from sep_journal.domain.ledger import Charges, Opened, Order, Transaction
from sep_journal.domain.trades import OrderLink, Trade, by_trade, trade_of

from .ledgers import Account

D = Decimal
CASH = st.decimals(-10_000, 10_000, places=4)
COST = st.decimals(0, 50, places=4)
UNITS = st.integers(1, 5_000).map(D)


def booked(
    account: Account, links: list[OrderLink] | None = None
) -> tuple[dict[int, Trade], Decimal, Balance]:
    """Trades by id, transfers, and the balance at the end."""
    orders: dict[int, Order] = {}
    balance, transfers = Balance(), D(0)
    executions: list[Execution] = []
    for entry in account.entries:
        if entry.creates_order:
            orders[entry.id] = Order.of(entry)
        booking = book(entry, orders, balance)
        assert booking.change == sum((e.net for e in booking.executions), booking.transfer)
        balance, transfers = booking.balance, transfers + booking.transfer
        executions += booking.executions
    return {t: trade_of(own, links or []) for t, own in by_trade(executions)}, transfers, balance


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """An account with partial fills, several trades, stops, rollovers, hand trades and odd sums."""
    account = Account()
    account.transfer(draw(CASH) + 10_001)
    for _ in range(draw(st.integers(1, 25))):
        step = draw(st.sampled_from(("open", "close", "flip", "roll", "transfer", "order", "odd")))
        if step == "open":
            account.fill(
                opens=draw(UNITS) * draw(st.sampled_from((1, -1))),
                commission=draw(COST),
                fee=draw(COST),
                client_order_id=draw(st.sampled_from(("", "sep-1", "sep-2"))),
            )
        elif step in ("close", "flip") and account.open_units:
            trades = draw(
                st.lists(st.sampled_from(sorted(account.open_units)), unique=True, min_size=1)
            )
            closes = []
            for trade in trades:
                held = account.open_units[trade]
                part = draw(st.integers(1, int(abs(held))))
                closes.append((trade, D(-part if held > 0 else part), draw(CASH)))
            account.fill(
                closes=closes,
                opens=draw(UNITS) if step == "flip" else D(0),
                commission=draw(COST),
                fee=draw(COST),
                financing=draw(CASH),
                unexplained=draw(st.sampled_from((D(0), D("0.0001"), D("-3.2")))),
                reason=draw(
                    st.sampled_from(
                        ("STOP_LOSS_ORDER", "MARKET_ORDER_MARGIN_CLOSEOUT", "MARKET_ORDER")
                    )
                ),
                hidden_balance=draw(st.booleans()),
            )
        elif step == "roll":
            account.roll_over(draw(CASH), draw(st.sampled_from((D(0), D("0.0003")))))
        elif step == "transfer":
            account.transfer(draw(CASH))
        elif step == "odd":
            account.add(type="ORDER_FILL", fault="units: not a decimal")
        else:
            account.order(trigger_price=D("1.05"))
    account.transfer(D("0.0001"))
    return account


@given(accounts(), st.lists(st.decimals("0.5", "2", places=5), min_size=4, max_size=4))
def test_parts_add_up_to_results_and_results_and_transfers_to_the_balance(
    account: Account, mids: list[Decimal]
) -> None:
    links = [
        OrderLink(
            client_order_id=f"sep-{n}",
            decision_id=f"d{n}",
            ts_ms=0,
            quote_mid=mids[n],
            signal_mid=mids[n + 2],
        )
        for n in (0, 1)
    ]
    trades, transfers, balance = booked(account, links)
    for trade in trades.values():
        assert trade.parts.sum == trade.net_pl
    assert sum((t.net_pl for t in trades.values()), transfers) == account.balance
    assert balance.amount == account.balance


@given(accounts())
def test_open_units_are_the_brokers(account: Account) -> None:
    trades, _, _ = booked(account)
    left = {t.id: t.open_units for t in trades.values() if t.close_ms is None and t.open_units}
    assert left == account.open_units


def test_what_the_broker_does_not_explain_is_other() -> None:
    account = Account()
    account.fill(opens=D(100))
    account.fill(closes=[(1, D(-100), D("12.5"))], unexplained=D("-0.0007"))
    trades, transfers, _ = booked(account)
    assert trades[1].parts.other == D("-0.0007")
    assert transfers == 0


def test_the_gap_that_an_unreadable_entry_leaves_is_a_transfer() -> None:
    account = Account()
    account.fill(opens=D(100))
    account.balance += D(7)
    account.add(type="ORDER_FILL", fault="units: not a decimal")
    account.fill(closes=[(1, D(-100), D("12.5"))])
    trades, transfers, _ = booked(account)
    assert trades[1].parts.other == 0
    assert transfers == D(7)


def entry_fill(price: str, units: str = "1000") -> Transaction:
    opened = Opened(
        trade_id=1,
        units=D(units),
        price=D(price),
        client_tag="sep",
        charges=Charges(half_spread_cost=D("0.1")),
    )
    return Transaction(
        id=1,
        ts_ms=1_000,
        type="ORDER_FILL",
        instrument="EUR_USD",
        client_order_id="sep-1",
        units=D(units),
        price=D(price),
        account_balance=D(0),
        opened=opened,
        charges=Charges(gain_factor=D(1), loss_factor=D(1)),
    )


LINK = OrderLink(
    client_order_id="sep-1",
    decision_id="decision-1",
    ts_ms=900,
    quote_mid=D("1.1002"),
    signal_mid=D("1.1000"),
)


def test_the_way_from_signal_to_fill_is_delay_half_spread_and_slippage() -> None:
    """1,000 units from a mid of 1.1000 to a fill at 1.1005 cost 0.5."""
    account = Account(entries=[entry_fill("1.1005")], open_units={1: D(1000)})
    account.fill(closes=[(1, D(-1000), D("3"))], spread=D("0.2"), reason="CLIENT_REQUEST")
    trades, _, _ = booked(account, [LINK])
    parts = trades[1].parts
    assert parts.delay == D("-0.2")
    assert parts.slippage == D("-0.2")
    assert parts.half_spread == D("-0.3")
    assert parts.signal == trades[1].net_pl - parts.delay - parts.slippage - parts.half_spread - (
        parts.conversion
    )
    assert trades[1].decision_ids == ("decision-1",)


def test_a_short_entry_below_the_signal_costs_as_a_long_one_above() -> None:
    account = Account(entries=[entry_fill("1.0997", "-1000")], open_units={1: D(-1000)})
    account.fill(closes=[(1, D(1000), D("3"))])
    trades, _, _ = booked(account, [LINK])
    assert trades[1].parts.delay == D("0.2")
    assert trades[1].parts.slippage == D("-0.4")


def test_an_open_trade_has_no_entry_costs_and_a_half_closed_one_has_half() -> None:
    account = Account(entries=[entry_fill("1.1005")], open_units={1: D(1000)})
    assert booked(account, [LINK])[0][1].parts.half_spread == 0
    account.fill(closes=[(1, D(-500), D("3"))], spread=D("0.02"))
    half = booked(account, [LINK])[0][1]
    assert half.parts.half_spread == D("-0.07")
    assert half.parts.delay == D("-0.1")
    assert half.close_ms is None


def test_a_stop_slips_from_its_own_price() -> None:
    account = Account(entries=[entry_fill("1.1")], open_units={1: D(1000)})
    stop = account.order(type="STOP_LOSS_ORDER", trigger_price=D("1.095"))
    account.fill(
        closes=[(1, D(-1000), D("-7"))],
        price=D("1.093"),
        reason="STOP_LOSS_ORDER",
        order_id=str(stop.id),
    )
    trades, _, _ = booked(account)
    # 1,000 units, 0.002, at the middle of the two conversion rates.
    assert trades[1].parts.slippage == D("-1.81")
    assert trades[1].exit == "STOP_LOSS_ORDER"


def test_the_difference_of_the_two_rates_is_conversion() -> None:
    account = Account()
    account.fill(opens=D(100))
    account.fill(closes=[(1, D(-100), D("90"))])
    trades, _, _ = booked(account)
    assert trades[1].parts.conversion == D("-0.5")


def test_commission_is_shared_by_units_to_the_last_digit() -> None:
    account = Account()
    account.fill(opens=D(100))
    account.fill(opens=D(50))
    account.fill(
        closes=[(1, D(-100), D(1)), (2, D(-50), D(1))], opens=D(-150), commission=D("0.01")
    )
    trades, _, _ = booked(account)
    shares = [trades[n].parts.commission for n in (1, 2, 3)]
    assert shares == [D("-0.003333"), D("-0.001667"), D("-0.005")]
