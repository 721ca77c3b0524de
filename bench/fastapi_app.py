"""Some of the stack's routes in FastAPI and pydantic, from the same data sources: the baseline.

It uses the stack's own store and paper broker. Unlike the gateway it ignores the broker's limit of
requests. Readiness is computed by the guard's own code.
"""

import os
import time
from decimal import Decimal
from functools import cache
from typing import Any

import grpc
import httpx
from fastapi import FastAPI
from pydantic import BaseModel
from sep_fx.sessions import SessionCalendar
from sep_guard.adapters.gateway import GatewayBroker
from sep_guard.adapters.risk_state import RiskStateStore
from sep_guard.adapters.stored_inputs import StoredInputsReader
from sep_guard.adapters.valkey_store import ValkeyGuardStore
from sep_guard.adapters.view_reader import ViewReader, ViewSettings
from sep_guard.application.account_view import AccountViewReader
from sep_guard.application.open_orders import OpenOrders
from sep_guard.application.risk_monitor import RiskMonitor
from sep_guard.application.watermark import Watermark
from sep_guard.domain.entry_checks import check_entry
from sep_guard.settings import GuardSettings
from sep_kit.clock import SystemClock, now_ms
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey
from sep_kit.store.documents import read_document
from sep_kit.store.durable_kill_switch import DurableKillSwitch
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.lease import Lease
from sep_kit.store.records import GatesBlob, WeightsRecord

app = FastAPI()
_store = open_valkey(os.environ["VALKEY_URL"])
_kill_switch = DurableKillSwitch(KillSwitch(_store), None, SystemClock())
_clock = SystemClock()
_settings = load_settings(GuardSettings)
_limits = _settings.limits()


# Created on first use: both clients belong to the event loop that is running then.
@cache
def _broker() -> httpx.AsyncClient:
    token = {"Authorization": f"Bearer {os.environ['OANDA_API_TOKEN']}"}
    return httpx.AsyncClient(base_url=os.environ["OANDA_API_URL"], headers=token)


@cache
def _reader() -> ViewReader:
    settings = ViewSettings(
        instruments=_settings.hotband_pairs,
        calendar=SessionCalendar(
            _settings.market_calendar, gating=_settings.session_trading_enabled
        ),
        read_only=True,
        live_allowed=False,
    )
    store = ValkeyGuardStore(_store, Lease(_store, "bench", "bench", _clock))
    orders = OpenOrders(store, time.monotonic)
    inputs = StoredInputsReader(_store, _settings.candle_granularity, orders.instruments, _clock)
    broker = GatewayBroker(grpc.aio.insecure_channel(_settings.gateway_addr))
    limits = _settings.limits().risk
    monitor = RiskMonitor(broker, RiskStateStore(_store), limits, _clock, frozenset)
    watermark = Watermark()
    accounts = AccountViewReader(broker, watermark, time.monotonic)
    return ViewReader(settings, broker, inputs, _kill_switch, monitor, accounts, watermark, _clock)


class AllocationStatus(BaseModel):
    weights: dict[str, float]
    total_allocation: float
    top_k: int
    held: bool
    held_reason: str
    blob_age_seconds: float | None
    weights_age_seconds: float | None
    cooldowns: list[str]


class Account(BaseModel):
    id: str
    currency: str
    balance: Decimal
    nav: Decimal
    unrealized_pl: Decimal
    pl: Decimal
    margin_used: Decimal
    margin_available: Decimal
    position_value: Decimal
    margin_closeout_percent: Decimal
    open_trade_count: int
    open_position_count: int
    last_transaction_id: str
    ts_ms: int


class Check(BaseModel):
    reason: str
    passed: bool
    observed: str
    allowed: str


class Readiness(BaseModel):
    instrument: str
    ready: bool
    reasons: list[str]
    checks: list[Check]
    direction: int


class AllReadiness(BaseModel):
    readiness: list[Readiness]


class KillSwitchStatus(BaseModel):
    kill_switch: bool
    reason: str
    actor: str
    ts_ms: int | None


@app.get("/api/risk/allocation-status", response_model=AllocationStatus)  # type: ignore[untyped-decorator, unused-ignore]
async def allocation_status() -> Any:
    now = now_ms(_clock)
    weights = await read_document(_store, WeightsRecord, keys.ALLOCATION_WEIGHTS)
    blob = await read_document(_store, GatesBlob, keys.GATES_BLOB)
    return AllocationStatus(
        weights=weights.weights if weights else {},
        total_allocation=sum(weights.weights.values()) if weights else 0,
        top_k=3,
        held=weights is None or weights.held,
        held_reason=weights.held_reason if weights else "NO_WEIGHTS",
        blob_age_seconds=(now - blob.ts) / 1000 if blob else None,
        weights_age_seconds=(now - weights.ts) / 1000 if weights else None,
        cooldowns=sorted(i for i, c in blob.cooldowns.items() if c) if blob else [],
    )


@app.get("/api/kill-switch", response_model=KillSwitchStatus)  # type: ignore[untyped-decorator, unused-ignore]
async def kill_switch() -> Any:
    state = await _kill_switch.read()
    change = state.change
    return KillSwitchStatus(
        kill_switch=state.engaged,
        reason=state.reason,
        actor=change.actor if change else "",
        ts_ms=change.ts if change else None,
    )


@app.get("/api/oanda/account", response_model=Account)  # type: ignore[untyped-decorator, unused-ignore]
async def account() -> Any:
    response = await _broker().get(f"/v3/accounts/{os.environ['OANDA_ACCOUNT_ID']}/summary")
    summary = response.json()["account"]
    return Account(
        id=summary["id"],
        currency=summary["currency"],
        balance=summary["balance"],
        nav=summary["NAV"],
        unrealized_pl=summary["unrealizedPL"],
        pl=summary["pl"],
        margin_used=summary["marginUsed"],
        margin_available=summary["marginAvailable"],
        position_value=summary["positionValue"],
        margin_closeout_percent=summary["marginCloseoutPercent"],
        open_trade_count=summary["openTradeCount"],
        open_position_count=summary["openPositionCount"],
        last_transaction_id=summary["lastTransactionID"],
        ts_ms=now_ms(_clock),
    )


@app.get("/api/trade/readiness", response_model=AllReadiness)  # type: ignore[untyped-decorator, unused-ignore]
async def all_readiness() -> Any:
    view = await _reader().view()
    found = []
    for name, market in view.markets.items():
        checks = [
            Check(reason=c.reason, passed=c.passed, observed=c.observed, allowed=c.allowed)
            for c in check_entry(view, market, _limits)
        ]
        reasons = [c.reason for c in checks if not c.passed]
        direction = market.signal.direction if market.signal else 0
        found.append(
            Readiness(
                instrument=name,
                ready=not reasons,
                reasons=reasons,
                checks=checks,
                direction=direction,
            )
        )
    return AllReadiness(readiness=found)
