"""Changes of the parameters in force: judged, atomic, on record, and taken back."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep.evaluator.v1 import evaluator_pb2 as pb
from sep_evaluator.domain.parameter_changes import (
    Change,
    Changed,
    InvalidParametersError,
    NoVerdictError,
    OthersInForceError,
    Wanted,
    promotion,
    rollback,
)
from sep_evaluator.domain.params import StrategyParams, digest_of
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_testing.calls import call
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .harness import PERMISSIVE_PARAMS, running, settings_of, stored_blob

EUR, JPY = "EUR_USD", "USD_JPY"
DEFAULTS = StrategyParams()


def wanted(instrument: str = EUR, **changes: Any) -> Wanted:
    defaults: dict[str, Any] = {
        "instrument": instrument, "values": {"c_min": 0.6}, "judged": True
    }  # fmt: skip
    return Wanted(**defaults | changes)


def in_force(*names: str, **changed: StrategyParams | None) -> Mapping[str, StrategyParams | None]:
    return dict.fromkeys(names or (EUR, JPY), DEFAULTS) | changed


class TestRules:
    def test_a_verdict_to_promote_changes_what_it_names(self) -> None:
        (changed,) = promotion([wanted()], in_force(), "")
        assert changed.before == DEFAULTS
        assert changed.after == StrategyParams(c_min=0.6)

    @pytest.mark.parametrize(
        "lacking",
        [wanted(judged=False), wanted(against=("PEAK",)), wanted(judged=False, against=("PEAK",))],
    )
    def test_nothing_is_promoted_against_a_verdict_unless_somebody_forces_it(
        self, lacking: Wanted
    ) -> None:
        with pytest.raises(NoVerdictError, match=EUR):
            promotion([wanted(JPY), lacking], in_force(), "  ")
        assert len(promotion([wanted(JPY), lacking], in_force(), "alice")) == 2

    def test_all_faults_of_all_instruments_are_named_at_once(self) -> None:
        with pytest.raises(InvalidParametersError) as failure:
            promotion(
                [wanted(values={"c_mim": 1}), wanted(JPY, values={"c_min": 7})], in_force(), "alice"
            )
        for part in ("EUR_USD", "c_mim", "USD_JPY", "c_min is 7"):
            assert part in str(failure.value)

    def test_an_instrument_is_named_once(self) -> None:
        with pytest.raises(InvalidParametersError, match="named twice"):
            promotion([wanted(), wanted()], in_force(), "")

    def test_others_in_force_than_expected_are_refused(self) -> None:
        expected = wanted(digest_before=digest_of(DEFAULTS))
        assert promotion([expected], in_force(), "")
        for other in (StrategyParams(c_min=0.1), None):
            with pytest.raises(OthersInForceError, match="expected"):
                promotion([expected], in_force(EUR_USD=other), "")

    def test_invalid_stored_parameters_can_be_replaced(self) -> None:
        (changed,) = promotion([wanted()], in_force(EUR_USD=None), "")
        assert changed.before is None

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
    def test_taking_every_change_back_restores_what_was(self, values: list[float]) -> None:
        now = DEFAULTS
        made: list[Change] = []
        for value in values:
            changed = promotion([wanted(values={"c_min": value})], in_force(EUR_USD=now), "")
            made.append(Change(id=str(len(made)), ts_ms=0, actor="a", reason="r", changed=changed))
            now = changed[0].after
        for change in reversed(made):
            (back,) = rollback(change, in_force(EUR_USD=now))
            now = back.after
        assert now == DEFAULTS

    def test_an_overtaken_change_is_not_taken_back(self) -> None:
        changed = Changed(instrument=EUR, before=DEFAULTS, after=StrategyParams(c_min=0.6))
        change = Change(id="1", ts_ms=0, actor="a", reason="r", changed=(changed,))
        with pytest.raises(OthersInForceError):
            rollback(change, in_force(EUR_USD=StrategyParams(c_min=0.7)))


@pytest.fixture
async def stub(store: Valkey, shared_valkey: ValkeyServer) -> AsyncIterator[Any]:
    settings = settings_of(
        shared_valkey.url, HOTBAND_PAIRS="EUR_USD,USD_JPY", EVAL_INTERVAL_SEC="60"
    )
    async with running(settings) as service:
        await eventually(lambda: store.exists(keys.GATES_BLOB))
        yield service.stub


def request(*wanted: pb.WantedParameters, **changes: Any) -> pb.PromoteParametersRequest:
    return pb.PromoteParametersRequest(
        **{"wanted": wanted, "run": "run@abc", "reason": "a test"} | changes
    )


def asked(instrument: str = EUR, **changes: Any) -> pb.WantedParameters:
    defaults: dict[str, Any] = {
        "instrument": instrument, "values": {"c_min": 0.6}, "judged_to_promote": True
    }  # fmt: skip
    return pb.WantedParameters(**defaults | changes)


async def refusal(method: Any, message: Any) -> str:
    with pytest.raises(SepError) as failure:
        await call(method, message, peer="evaluator")
    return failure.value.reason


async def shown(stub: Any) -> dict[str, pb.ParametersInForce]:
    found = await call(stub.ListParameters, pb.ListParametersRequest(), peer="evaluator")
    return {p.instrument: p for p in found.parameters}


async def history(stub: Any, **request: Any) -> list[pb.ParameterChange]:
    message = pb.ListParameterChangesRequest(**request)
    return list((await call(stub.ListParameterChanges, message, peer="evaluator")).changes)


class TestService:
    async def test_a_promotion_is_in_force_on_record_and_closes_its_gate_at_once(
        self, stub: Any, store: Valkey
    ) -> None:
        await call(stub.EvaluateNow, pb.EvaluateNowRequest(), peer="evaluator")
        promoted = await call(stub.PromoteParameters, request(asked()), peer="evaluator")
        stored = json.loads(await reply(store.get(keys.best_config(EUR))))
        assert StrategyParams(**stored) == StrategyParams(c_min=0.6)
        found = await shown(stub)
        assert found[EUR].change.id == promoted.change.id
        assert found[EUR].change.run == "run@abc"
        assert found[EUR].values["c_min"] == 0.6
        assert not found[JPY].HasField("change")
        assert await history(stub) == [promoted.change]
        blob = await stored_blob(store)
        assert blob is not None
        assert "PARAMETERS_NEW" in blob["reasons"][EUR]

    async def test_taken_back_it_leaves_the_defaults_and_two_entries(
        self, stub: Any, store: Valkey
    ) -> None:
        made = await call(stub.PromoteParameters, request(asked()), peer="evaluator")
        back = pb.RollBackParametersRequest(change_id=made.change.id, reason="worse")
        await call(stub.RollBackParameters, back, peer="evaluator")
        assert not await reply(store.exists(keys.best_config(EUR)))
        newest, oldest = await history(stub, instrument=EUR)
        assert (newest.rolls_back, oldest.id) == (made.change.id, made.change.id)
        assert await history(stub, instrument=JPY) == []
        assert await refusal(stub.RollBackParameters, back) == "PARAMETERS_CHANGED"

    async def test_status_and_blob_name_the_run_in_force_also_after_it_comes_back(
        self, stub: Any, store: Valkey
    ) -> None:
        async def named() -> list[tuple[str, str]]:
            found = await call(
                stub.GetCoherenceStatus, pb.GetCoherenceStatusRequest(), peer="evaluator"
            )
            status = {s.instrument: s for s in found.statuses}[EUR]
            blob = await stored_blob(store)
            assert blob is not None
            judged = blob["params"][EUR]
            return [
                (status.parameters_run, status.parameters_digest),
                (judged["run"], judged["digest"]),
            ]

        defaults = ("", digest_of(DEFAULTS))
        first = ("run@abc", digest_of(StrategyParams(c_min=0.6)))
        assert await named() == [defaults, defaults]
        made = await call(stub.PromoteParameters, request(asked()), peer="evaluator")
        assert await named() == [first, first]
        better = request(asked(values={"c_min": 0.7}), run="run@def")
        other = await call(stub.PromoteParameters, better, peer="evaluator")
        assert {run for run, _ in await named()} == {"run@def"}
        for change, expected in ((other, first), (made, defaults)):
            back = pb.RollBackParametersRequest(change_id=change.change.id, reason="worse")
            await call(stub.RollBackParameters, back, peer="evaluator")
            assert await named() == [expected, expected]

    async def test_of_several_instruments_all_change_or_none(
        self, stub: Any, store: Valkey
    ) -> None:
        for bad, reason in (
            (asked(JPY, values={"c_min": 7}), "INVALID_ARGUMENT"),
            (asked(JPY, values={"typo": 1}), "INVALID_ARGUMENT"),
            (asked(JPY, against=["PEAK"]), "VERDICT_AGAINST"),
            (asked(JPY, judged_to_promote=False), "VERDICT_AGAINST"),
            (asked(JPY, digest_before="0" * 16), "PARAMETERS_CHANGED"),
            (asked("XAU_USD"), "UNKNOWN_INSTRUMENT"),
        ):
            assert await refusal(stub.PromoteParameters, request(asked(), bad)) == reason
        assert not await reply(store.exists(keys.best_config(EUR)))
        assert await history(stub) == []

    async def test_a_dry_run_changes_nothing(self, stub: Any, store: Valkey) -> None:
        answer = await call(
            stub.PromoteParameters, request(asked(), dry_run=True), peer="evaluator"
        )
        assert answer.dry_run
        assert answer.change.changed[0].after["c_min"] == 0.6
        assert not await reply(store.exists(keys.best_config(EUR)))
        assert await history(stub) == []

    async def test_a_value_set_by_hand_is_not_called_a_change(
        self, stub: Any, store: Valkey
    ) -> None:
        await call(stub.PromoteParameters, request(asked()), peer="evaluator")
        await store.set(keys.best_config(EUR), PERMISSIVE_PARAMS)
        assert not (await shown(stub))[EUR].HasField("change")
        await store.set(keys.best_config(EUR), '{"c_mim": 1}')
        assert "c_mim" in (await shown(stub))[EUR].fault

    async def test_damaged_records_are_left_out(self, stub: Any, store: Valkey) -> None:
        made = await call(stub.PromoteParameters, request(asked()), peer="evaluator")
        await reply(store.xadd(keys.PARAMETER_CHANGES, {"change": "{"}))
        await reply(store.xadd(keys.PARAMETER_CHANGES, {"other": "1"}))
        await reply(store.hset(keys.PARAMETER_ORIGINS, EUR, "{"))
        assert await history(stub) == [made.change]
        assert not (await shown(stub))[EUR].HasField("change")

    async def test_a_change_that_nobody_made_is_unknown(self, stub: Any) -> None:
        back = pb.RollBackParametersRequest(change_id="none", reason="a test")
        assert await refusal(stub.RollBackParameters, back) == "UNKNOWN_CHANGE"
