"""Where a day's candles, parameters and trades come from: Valkey, and the stack's API."""

import json
import time as clock
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from sep_evaluator.adapters.strategy_params import StoredParams
from sep_evaluator.domain.costs import CostTable
from sep_evaluator.domain.measured_costs import PaidTrade, measured_costs
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.settings import EvaluatorSettings
from sep_kit.errors import SepError
from sep_kit.store.candles import CandleStore
from sep_kit.store.connection import open_valkey

from sep_replay.parity.live_day import LiveRecords
from sep_replay.tape import Tape

_NEW_YORK = ZoneInfo("America/New_York")
_END = time(17)
_DAY_S = 86_400
_DAY_MS = _DAY_S * 1000
_CARRIED_DAYS = 10
_TIMEOUT_S = 30.0
_PAUSE_S, _MOST_PAUSES = 1.0, 60
"""A day has thousands of decisions, each a read: more than the stack lets one client do at once."""
_PAGE = 1000
_ALWAYS_MS = 253_402_300_799_000  # the end of the year 9999
_MEASURED = ("signal", "half_spread", "delay", "slippage", "financing")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a day is replayed from."""

    tape: Tape
    params: Mapping[str, StrategyParams] = field(default_factory=dict)


def day_bounds_ms(day: date) -> tuple[int, int]:
    """Begin and end of a trading day: 17:00 in New York."""
    ends = (datetime.combine(d, _END, _NEW_YORK) for d in (day - timedelta(days=1), day))
    start, end = (int(e.timestamp()) * 1000 for e in ends)
    return start, end


async def read_store(settings: EvaluatorSettings, start_s: int, end_s: int) -> Inputs:
    """Stored candles and promoted parameters of the traded instruments.

    Raises:
        ValueError: Valkey does not answer, or parameters can't be read.
    """
    store = open_valkey(settings.valkey_url)
    names = list(settings.hotband_pairs)
    since = start_s - settings.eval_long_run_days * _DAY_S
    try:
        candles = CandleStore(store)
        granularity = settings.candle_granularity
        bars = {i: await candles.read_bars(i, granularity, since, end_s) for i in names}
        loaded = await StoredParams(store).load(names)
    except SepError as error:
        raise ValueError(f"{error}; VALKEY_URL names the stack's Valkey") from error
    finally:
        await store.aclose()
    params: dict[str, StrategyParams] = {}
    for name, found in loaded.items():
        if not isinstance(found, StrategyParams):
            raise ValueError(f"the parameters of {name} can't be read: {found}")
        params[name] = found
    return Inputs(Tape(granularity, bars), params)


class StackSources:
    """Reads a day from the journal of a running stack.

    Args:
        key: an API key; None where reads need none.
        sleep: waits for seconds.
    """

    def __init__(
        self, url: str, key: str | None, sleep: Callable[[float], None] = clock.sleep
    ) -> None:
        self._sleep = sleep
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        # Proxies of the environment are ignored: the stack runs on this machine or nearby.
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT_S, trust_env=False
        )

    def live(self, start_ms: int, end_ms: int) -> LiveRecords:
        """What the journal has of a day.

        Raises:
            ValueError: the stack does not answer, or refuses.
        """
        with self._http:
            since = start_ms - _CARRIED_DAYS * _DAY_MS
            trades = list(self._pages("/api/journal/trades", "trades", since, end_ms))
            listed = list(self._pages("/api/decisions", "decisions", start_ms, end_ms))
            return LiveRecords(
                start_ms=start_ms,
                end_ms=end_ms,
                balance=self._balance(start_ms),
                trades=trades,
                decisions=self._with_records(listed),
            )

    def costs(self, *, evaluated: bool = False) -> CostTable:
        """The costs that the closed trades of this stack had.

        Args:
            evaluated: leave out instruments that the evaluator does not judge any more; all
                trades count for the mean.

        Raises:
            ValueError: the stack does not answer or refuses, or has no such trade.
        """
        with self._http:
            found = self._pages("/api/journal/trades", "trades", 0, _ALWAYS_MS)
            table = measured_costs(_paid(trade) for trade in found if _is_measurable(trade))
            if not evaluated:
                return table
            judged = {pair["instrument"] for pair in self._get("/api/pairs")["pairs"]}
            named = {i: c for i, c in table.by_instrument.items() if i in judged}
            return replace(table, by_instrument=named)

    def _balance(self, at_ms: int) -> Decimal:
        page = self._get("/api/journal/transactions", to=str(at_ms), page_size=_PAGE)
        balances = (t["account_balance"] for t in page["transactions"])
        found = next((balance for balance in balances if balance), None)
        if found is None:
            raise ValueError("the journal has no balance before the day; choose a later day")
        return Decimal(found)

    def _with_records(self, listed: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for decision_id in dict.fromkeys(entry["id"] for entry in listed):
            answer = self._get(f"/api/decisions/{decision_id}")
            records = zip(answer["decisions"], answer["records"], strict=True)
            found += [{**entry, "record": json.loads(record)} for entry, record in records]
        return found

    def _pages(self, path: str, name: str, since: int, until: int) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = self._get(
                path, **{"from": str(since)}, to=str(until), page_size=_PAGE, page_token=token
            )
            yield from page[name]
            token = page["next_page_token"]
            if not token:
                return

    def _get(self, path: str, **query: object) -> Any:
        wanted = {name: str(value) for name, value in query.items() if value != ""}
        try:
            answer = self._http.get(path, params=wanted)
            for _ in range(_MOST_PAUSES):
                if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                    break
                self._sleep(_PAUSE_S)
                answer = self._http.get(path, params=wanted)
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ValueError(f"{path}: the stack does not answer: {error}; see --url") from error
        if answer.is_error:
            raise ValueError(f"{path}: {body.get('message', body)} ({answer.status_code})")
        return body


def _is_measurable(trade: Mapping[str, Any]) -> bool:
    """Whether a trade is this stack's own, closed, and its prices and parts are known."""
    known = all(trade.get(n) for n in ("close_time", "open_price", "close_price", "parts"))
    return bool(known and trade["own"])


def _paid(trade: Mapping[str, Any]) -> PaidTrade:
    return PaidTrade(
        instrument=trade["instrument"],
        units=float(trade["units"]),
        open_price=float(trade["open_price"]),
        close_price=float(trade["close_price"]),
        opened=int(trade["open_time"]) // 1000,
        closed=int(trade["close_time"]) // 1000,
        parts={name: float(trade["parts"][name]) for name in _MEASURED},
    )
