"""The layers of the architecture: imports, clocks and module size.

A service consists of ``domain`` (pure), ``application`` (order of steps), ``ports.py``,
``adapters`` (Valkey, files, HTTP and gRPC clients), ``convert.py`` and servicers (protobuf), and
``app.py`` (wiring).
"""

import ast

import pytest

from tests.contract.sources import Source, packages, sources, under

MAX_LINES = 300
SERVICES = sorted(packages("services"))
PROGRAMS = ("services", "simulators", "tools")

# A decision is a pure function: everything it depends on is an argument.
IMPURE = {
    "asyncio", "google", "grpc", "hiredis", "httpx", "logging", "multiprocessing",
    "prometheus_client", "random", "redis", "requests", "secrets", "sep", "sep_kit",
    "sep_testing", "socket", "starlette", "structlog", "subprocess", "threading", "time",
    "urllib", "uuid", "uvicorn", "valkey",
}  # fmt: skip
PROTOBUF = {"google.protobuf", "google.rpc", "google.api", "sep", "buf", "protovalidate"}
REDIS = {"redis", "hiredis", "valkey"}
REAL_CLOCK = {
    "time.time", "time.time_ns", "time.localtime", "time.gmtime",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
}  # fmt: skip
FILE_ACCESS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "print", "input",
}  # fmt: skip


def offences(of: list[Source], banned: set[str]) -> list[str]:
    """Imports of banned modules."""
    return [
        f"{source.module}:{line} imports {name}"
        for source in of
        for name, line in source.imports()
        if any(under(name, b) for b in banned)
    ]


def in_layer(source: Source, layer: str) -> bool:
    """Whether a module is a layer such as ``domain``, or inside it."""
    return source.layers[:1] == (layer,)


def is_domain(source: Source) -> bool:
    """Whether a module must be pure: a service's domain, and its counterpart in a simulator."""
    if source.folder.startswith("simulators/"):
        return source.layers[:1] in {("market",), ("orders",), ("account",)}
    return in_layer(source, "domain")


def domains() -> list[Source]:
    return [s for s in [*sources("services"), *sources("simulators")] if is_domain(s)]


def programs() -> list[Source]:
    return [source for folder in PROGRAMS for source in sources(folder)]


def everything() -> list[Source]:
    return [*sources("libs"), *programs()]


def test_the_sources_are_found() -> None:
    assert {"sep_gateway", "sep_evaluator", "sep_allocator", "sep_guard", "sep_journal"} <= set(
        SERVICES
    )
    assert packages("libs") == {"sep_contract", "sep_fx", "sep_kit", "sep_testing"}
    assert {"sep_edge", "sep_local", "sep_replay"} <= packages("tools")
    assert "sep_paper_broker" in packages("services") | packages("simulators")


# Between projects.


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_no_other_service(service: str) -> None:
    own = [s for s in sources("services") if s.package == service]
    others = (packages("services") | packages("simulators")) - {service}
    assert offences(own, others) == []


@pytest.mark.parametrize("service", [s for s in SERVICES if s != "sep_journal"])
def test_no_part_that_trades_calls_the_journal(service: str) -> None:
    """Whatever happens to its disk or its database: nothing waits for its answer."""
    own = [s for s in sources("services") if s.package == service]
    assert own
    assert offences(own, {"sep.journal"}) == []
    assert [s.module for s in own if "journal_addr" in s.path.read_text("utf-8")] == []


def test_simulators_import_no_service() -> None:
    assert offences(sources("simulators"), packages("services")) == []


def test_libraries_import_neither_services_nor_tools() -> None:
    banned = packages("services") | packages("simulators") | packages("tools")
    assert offences(sources("libs"), banned) == []


def test_services_import_neither_tools_nor_test_support() -> None:
    banned = packages("tools") | {"sep_testing"}
    assert offences([*sources("services"), *sources("simulators")], banned) == []


def test_libraries_import_only_libraries_below_them() -> None:
    """sep_fx and sep_contract import no other library of ours, sep_kit not the test support."""
    libraries = packages("libs")
    allowed = {"sep_fx": {"sep_fx"}, "sep_contract": {"sep_contract"},
               "sep_kit": {"sep_kit", "sep_fx", "sep_contract"}}  # fmt: skip
    for package, own in allowed.items():
        library = [s for s in sources("libs") if s.package == package]
        assert offences(library, libraries - own) == []
    fx = [s for s in sources("libs") if s.package == "sep_fx"]
    assert offences(fx, {"sep", "grpc", "redis", "asyncio"}) == []


def test_only_the_replay_and_research_import_services() -> None:
    """They run the services' own decisions and backtests, so that both judge alike."""
    others = [s for s in sources("tools") if s.package not in {"sep_replay", "sep_research"}]
    assert offences(others, packages("services") | {"sep_replay", "sep_research"}) == []
    research = [s for s in sources("tools") if s.package == "sep_research"]
    assert offences(research, packages("services") - {"sep_evaluator"}) == []


def test_the_edge_does_not_import_the_local_runner() -> None:
    edge = [s for s in sources("tools") if s.package == "sep_edge"]
    assert offences(edge, {"sep_local", "sep_kit"}) == []


# Inside a service.


def test_every_service_has_a_domain() -> None:
    assert {s.package for s in domains()} >= set(SERVICES)


def test_a_domain_imports_no_io_no_protobuf_and_no_clock() -> None:
    assert offences(domains(), IMPURE) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_domain_imports_nothing_else_of_its_service(service: str) -> None:
    inside = f"{service}.domain"
    assert [
        f"{s.module}:{line} imports {name}"
        for s in sources("services")
        if s.package == service and in_layer(s, "domain")
        for name, line in s.imports()
        if under(name, service) and not under(name, inside)
    ] == []


# It stores compiled code under a digest of its own sources.
MAY_READ_FILES = {"sep_evaluator.domain.jit"}


def test_a_domain_opens_no_file() -> None:
    assert [
        f"{s.module}:{node.lineno}"
        for s in domains()
        if s.module not in MAY_READ_FILES
        for node in ast.walk(s.tree)
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in FILE_ACCESS
    ] == []


def test_an_application_imports_neither_redis_nor_protobuf_nor_adapters() -> None:
    application = [s for s in programs() if in_layer(s, "application")]
    assert offences(application, REDIS | PROTOBUF | {"grpc"}) == []
    assert [
        f"{s.module}:{line} imports {name}"
        for s in application
        for name, line in s.imports()
        if under(name, f"{s.package}.adapters")
    ] == []


def test_a_redis_pipeline_is_used_only_in_adapters_and_the_kit() -> None:
    assert [
        f"{s.module}:{line} imports {name}"
        for s in [*programs(), *sources("libs")]
        if s.package != "sep_kit" and not in_layer(s, "adapters")
        for name, line in s.imports()
        if under(name, "redis") and name.rpartition(".")[2] == "Pipeline"
    ] == []


def test_protobuf_is_imported_only_where_it_is_converted_or_wired() -> None:
    """In ``convert.py``, servicers, ``app.py``, and adapters that are gRPC clients."""
    services = [s for s in sources("services") if not may_import_protobuf(s)]
    assert offences(services, PROTOBUF) == []


def may_import_protobuf(source: Source) -> bool:
    name = source.layers[-1] if source.layers else ""
    if in_layer(source, "adapters"):
        return any(under(imported, "grpc") for imported, _ in source.imports())
    return name in {"convert", "app"} or name.endswith("servicer")


# Clocks.


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(of: list[Source], names: set[str]) -> list[tuple[str, str]]:
    """Calls of these functions: the module and the function as written there."""
    return [
        (source.module, dotted(node.func))
        for source in of
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and any(dotted(node.func) == n or dotted(node.func).endswith(f".{n}") for n in names)
    ]


def test_the_real_time_is_read_in_one_place() -> None:
    assert calls(everything(), REAL_CLOCK) == [("sep_kit.clock", "time.time_ns")]


# Not the age of a value that is used, but how long something lasts or is remembered.
PERIODS = {
    "sep_evaluator.domain.floors.within_history",
    "sep_allocator.domain.allocation.allocate",
    "sep_evaluator.domain.floors.expire",
    "sep_guard.domain.entry_limiters.ramp_ended",
    "sep_guard.domain.risk.activity.entries_last_hour",
    "sep_guard.domain.risk.activity._trimmed",
    "sep_guard.domain.risk.locks.impose",
    "sep_guard.domain.risk.locks.forget_old",
    "sep_guard.domain.stop_guard.obsolete",
}


def test_ages_are_judged_by_one_function() -> None:
    """No function compares ``now - something``, except ``sep_fx.freshness``; see the glossary."""
    found = {
        f"{source.module}.{function.name}"
        for source in everything()
        for function in ast.walk(source.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for compare in ast.walk(function)
        if isinstance(compare, ast.Compare) and subtracts_from_wall_clock(compare)
    }
    assert found - PERIODS == set()


def subtracts_from_wall_clock(compare: ast.Compare) -> bool:
    """Whether it contains a subtraction from a time; a plain ``now`` is a monotonic clock."""
    return any(
        dotted(operand).rpartition(".")[2] in {"now_ms", "now_s", "now_ns"}
        for node in ast.walk(compare)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)
        for operand in (node.left.func if isinstance(node.left, ast.Call) else node.left,)
    )


@pytest.mark.parametrize(
    ("comparison", "by_hand"),
    [
        ("now_ms - made < 5", True),
        ("(view.now_ms - made) / 1000 < 5", True),
        ("5 <= now_s(clock) - (a + b)", True),
        ("loop_time - made < 5", False),
        ("age_of(made, now_ms, 5).fresh == yes", False),
    ],
)
def test_an_age_judged_by_hand_is_found(comparison: str, by_hand: bool) -> None:
    compare = ast.parse(comparison, mode="eval").body
    assert isinstance(compare, ast.Compare)
    assert subtracts_from_wall_clock(compare) is by_hand


def test_only_entry_points_create_a_real_clock() -> None:
    creators = {module for module, _ in calls(everything(), {"SystemClock"})}
    entry_points = {"sep_kit.service", "sep_local.doctor.command", "sep_testing.services"}
    assert {m for m in creators if not m.endswith(".__main__")} <= entry_points


# Size.

GENERATED = {"sep_client.models"}


def test_no_module_is_longer_than_300_lines() -> None:
    every = [*everything(), *sources("clients")]
    lengths = {
        s.module: len(s.path.read_text("utf-8").splitlines())
        for s in every
        if s.module not in GENERATED
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_imports_are_found_where_they_are_relative_or_inside_functions() -> None:
    """All tests of imports depend on ``Source.imports``."""

    class Hidden(Source):
        @property
        def tree(self) -> ast.Module:
            text = "def f():\n  from ..adapters import store\n  import redis.asyncio as r\n"
            return ast.parse(text)

    hidden = Hidden("services/x", "sep_x.domain.rule", domains()[0].path)
    names = [name for name, _ in hidden.imports()]
    assert names == ["sep_x.adapters.store", "redis.asyncio"]
