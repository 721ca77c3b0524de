"""The contract as typed data: what each option and comment in protos/ becomes."""

from sep_contract import (
    DEFAULT_TIMEOUT_S,
    Access,
    Constraints,
    FieldKind,
    Method,
    read_contract,
)
from sep_contract.messages import Field, Message

CONTRACT = read_contract()


def method(name: str) -> Method:
    (found,) = (m for m in CONTRACT.methods.values() if m.name == name)
    return found


def field(message: Message, name: str) -> Field:
    (found,) = (f for f in message.fields if f.name == name)
    return found


def test_services_have_full_names_areas_and_comments() -> None:
    assert {s.name: s.area for s in CONTRACT.services} == {
        "sep.allocator.v1.AllocatorService": "allocator",
        "sep.evaluator.v1.EvaluatorService": "evaluator",
        "sep.gateway.v1.GatewayService": "gateway",
        "sep.guard.v1.GuardService": "guard",
        "sep.journal.v1.JournalService": "journal",
        "sep.ops.v1.OpsService": "ops",
    }
    assert all(s.comment.strip() for s in CONTRACT.services)


def test_methods_are_found_by_their_grpc_path() -> None:
    for path, found in CONTRACT.methods.items():
        assert found.path == path
        assert CONTRACT.method(path) is found
        assert found.comment.strip()
        assert found.in_contract


def test_a_write_over_rest() -> None:
    reconcile = method("Reconcile")
    assert (reconcile.access, reconcile.verb, reconcile.route) == (
        Access.WRITE,
        "POST",
        "/api/trade/reconcile",
    )
    assert reconcile.has_body
    assert reconcile.writes
    assert not reconcile.reads
    assert reconcile.request == "sep.guard.v1.ReconcileRequest"
    assert reconcile.response == "sep.guard.v1.ReconcileResponse"
    assert reconcile.request_fields == ("dry_run",)
    assert reconcile.operation == "GuardService_Reconcile"


def test_a_cached_read() -> None:
    candles = method("ListCandles")
    assert (candles.access, candles.max_age_s, candles.verb) == (Access.READ, 1, "GET")
    assert candles.reads
    assert not candles.writes
    assert not candles.has_body


def test_an_internal_method_has_no_route() -> None:
    order = method("PlaceMarketOrder")
    assert (order.access, order.verb, order.route) == (Access.INTERNAL, "", "")
    assert not order.reads
    assert not order.writes


def test_the_log_has_every_method_but_those_that_change_nothing() -> None:
    """A read that services repeat every two seconds would hide the orders between."""
    unlogged = {m.name for m in CONTRACT.methods.values() if not m.audited}
    assert {"ListCandles", "ListTransactions", "GetOrder"} <= unlogged
    internal = {m.name for m in CONTRACT.methods.values() if m.access is Access.INTERNAL}
    assert internal - unlogged == {
        "PlaceMarketOrder",
        "ClosePosition",
        "CloseTrade",
        "SetTradeStop",
        "EngageKillSwitch",
    }
    assert not any(m.writes for m in CONTRACT.methods.values() if not m.audited)


def test_slow_methods_have_a_timeout_of_their_own_and_streams_have_none() -> None:
    own = {m.name: m.timeout_s for m in CONTRACT.methods.values()}
    assert {name for name, seconds in own.items() if seconds == 60} == {
        "EvaluateNow",
        "ExecuteDrain",
        "FetchCandles",
        "Flatten",
        "PromoteParameters",
        "Reconcile",
        "RollBackParameters",
        "TestNotifications",
    }
    streams = {"StreamEvents", "StreamExport", "StreamManifolds"}
    assert {name for name, seconds in own.items() if seconds is None} == streams
    assert {m.name for m in CONTRACT.methods.values() if m.streams} == streams
    assert set(own.values()) == {DEFAULT_TIMEOUT_S, 60, None}


def test_a_method_documents_its_own_errors_and_the_common_ones() -> None:
    drain = method("ExecuteDrain")
    assert drain.errors["FAILED_PRECONDITION"] == ["KILL_SWITCH_RELEASED", "READ_ONLY"]
    assert drain.documents("FAILED_PRECONDITION", "READ_ONLY")
    assert drain.documents("UNAUTHENTICATED", "MISSING_KEY")
    assert not drain.documents("FAILED_PRECONDITION", "KILL_SWITCH")
    assert not drain.documents("UNAVAILABLE", "READ_ONLY")


def test_a_method_outside_the_contract_needs_a_write_key_and_may_fail_with_anything() -> None:
    unknown = CONTRACT.method("/test.Echo/Say")
    assert (unknown.service, unknown.name, unknown.access) == ("test.Echo", "Say", Access.WRITE)
    assert not unknown.in_contract
    assert unknown.documents("DATA_LOSS", "ANYTHING")


def test_scalar_fields_with_constraints() -> None:
    plan = CONTRACT.messages["sep.guard.v1.PlanDrainRequest"]
    buffer = field(plan, "buffer_pct")
    assert buffer.kind is FieldKind.DOUBLE
    assert buffer.constraints == Constraints(gte=0, lte=100)
    minimum = field(plan, "min_units")
    assert minimum.decimal
    assert minimum.constraints.pattern == r"^$|^[0-9]{1,12}(\.[0-9]{1,9})?$"
    assert minimum.comment


def test_presence_lists_and_maps() -> None:
    kill_switch = field(CONTRACT.messages["sep.guard.v1.SetKillSwitchRequest"], "kill_switch")
    assert kill_switch.has_presence
    assert kill_switch.constraints.required
    status = CONTRACT.messages["sep.allocator.v1.GetAllocationStatusResponse"]
    weights, cooldowns = field(status, "weights"), field(status, "cooldowns")
    assert (weights.is_map, weights.repeated, weights.kind) == (True, False, FieldKind.DOUBLE)
    assert (cooldowns.is_map, cooldowns.repeated) == (False, True)
    assert not cooldowns.has_presence
    fetch = field(CONTRACT.messages["sep.gateway.v1.FetchCandlesRequest"], "instruments")
    assert fetch.constraints.max_items == 100
    assert fetch.constraints.pattern is not None


def test_message_and_enum_fields_name_their_type() -> None:
    action = CONTRACT.messages["sep.guard.v1.Action"]
    kind = field(action, "kind")
    assert (kind.kind, kind.type_name) == (FieldKind.ENUM, "sep.guard.v1.ActionKind")
    readiness = field(CONTRACT.messages["sep.guard.v1.CheckEntryResponse"], "readiness")
    assert (readiness.kind, readiness.has_presence) == (FieldKind.MESSAGE, True)


def test_enums_have_numbered_values_with_comments() -> None:
    enum = CONTRACT.enums["sep.guard.v1.ActionKind"]
    assert [value.number for value in enum.values] == list(range(len(enum.values)))
    assert enum.values[0].name == "ACTION_KIND_UNSPECIFIED"
    assert all(value.comment for value in enum.values)
    assert enum.comment
