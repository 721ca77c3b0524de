"""Two of the stack's routes the usual way: FastAPI, pydantic, the same facts in the same store."""

import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from sep_kit.clock import SystemClock, now_ms
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey
from sep_kit.store.documents import read_document
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import GatesBlob, WeightsRecord

app = FastAPI()
_store = open_valkey(os.environ["VALKEY_URL"])
_kill_switch = KillSwitch(_store)
_clock = SystemClock()


class AllocationStatus(BaseModel):
    weights: dict[str, float]
    total_allocation: float
    top_k: int
    held: bool
    held_reason: str
    blob_age_seconds: float | None
    weights_age_seconds: float | None
    cooldowns: list[str]


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
