import math
import re

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sep_kit.loop import LoopMetrics
from sep_kit.ops.exposition import merge_expositions


def exposition(service: str, instruments: tuple[str, ...] = ("EUR_USD",)) -> str:
    """Metrics of a service: those of loops, which all share, and some of its own."""
    registry = CollectorRegistry()
    loops = LoopMetrics(registry)
    loops.duration.labels("tick").observe(0.3)
    loops.failures.labels("tick").inc(2)
    loops.lag.labels("tick").set(float("nan"))
    serving = Gauge("sep_serving", "1 while it serves", ["service"], registry=registry)
    serving.labels(service).set(1)
    if service == "evaluator":
        gate = Gauge("sep_rolling_gate", "1", ["instrument", "eligible", "buf"], registry=registry)
        for instrument in instruments:
            gate.labels(instrument, "1", "0.10").set(1)
        latency = Histogram("sep_sweep_seconds", 'A "sweep"\nof \\ all', registry=registry)
        latency.observe(0.01)
        Summary("sep_sizes", "Sizes", registry=registry).observe(4)
        Counter("sep_flips", "Flips", ["instrument"], registry=registry).labels('a\n"b\\').inc()
        Gauge("sep_bt_calmar", "Calmar", ["instrument"], registry=registry).labels("X").set(
            math.inf
        )
    return generate_latest(registry).decode()


def merged(*services: str) -> str:
    return merge_expositions({name: exposition(name) for name in services})


def samples(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def series(text: str) -> list[str]:
    return [line.rsplit(" ", 1)[0] for line in samples(text)]


def test_there_are_no_duplicate_series() -> None:
    found = series(merged("evaluator", "guard", "allocator"))
    assert len(found) == len(set(found))


def test_each_family_has_one_help_and_one_type_before_all_its_samples() -> None:
    """As promtool demands."""
    text = merged("evaluator", "guard")
    families: list[str] = []
    current = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            families.append(current)
        elif line.startswith("# TYPE "):
            assert line.split()[2] == current
        else:
            assert re.split(r"[{ ]", line)[0].startswith(current)
    assert len(families) == len(set(families))
    assert text.endswith("\n")


def test_shared_metrics_get_a_service_label_and_others_keep_their_labels() -> None:
    found = series(merged("evaluator", "guard"))
    assert 'sep_rolling_gate{buf="0.10",eligible="1",instrument="EUR_USD"}' in found
    for service in ("evaluator", "guard"):
        assert f'sep_loop_failures_total{{loop="tick",service="{service}"}}' in found
        assert f'sep_serving{{service="{service}"}}' in found


def test_the_service_label_stays_while_other_services_are_down() -> None:
    alone = series(merged("guard"))
    assert 'sep_loop_failures_total{loop="tick",service="guard"}' in alone
    assert set(alone) <= set(series(merged("guard", "evaluator")))


def test_histograms_and_summaries_keep_all_their_samples() -> None:
    found = series(merged("evaluator", "guard"))
    for service in ("evaluator", "guard"):
        start = "sep_loop_duration_seconds_bucket{"
        buckets = [s for s in found if s.startswith(start) and service in s]
        assert len(buckets) > 3
        assert any('le="+Inf"' in b for b in buckets)
        assert f'sep_loop_duration_seconds_sum{{loop="tick",service="{service}"}}' in found
        assert f'sep_loop_duration_seconds_count{{loop="tick",service="{service}"}}' in found
    assert {"sep_sweep_seconds_sum", "sep_sweep_seconds_count", "sep_sizes_count"} <= set(found)


def test_types_are_preserved() -> None:
    text = merged("evaluator", "guard")
    for declared in (
        "# TYPE sep_loop_duration_seconds histogram",
        "# TYPE sep_loop_failures_total counter",
        "# TYPE sep_rolling_gate gauge",
        "# TYPE sep_sizes summary",
    ):
        assert declared in text.splitlines()


def test_nan_and_special_characters_are_preserved() -> None:
    text = merged("evaluator", "guard")
    assert 'sep_loop_lag_seconds{loop="tick",service="guard"} NaN' in text
    assert 'sep_bt_calmar{instrument="X"} +Inf' in text
    assert 'sep_flips_total{instrument="a\\n\\"b\\\\"} 1.0' in text
    assert '# HELP sep_sweep_seconds A "sweep"\\nof \\\\ all' in text


def test_merging_nothing_gives_an_empty_exposition() -> None:
    assert merge_expositions({}) == ""


def test_merging_one_service_changes_no_value() -> None:
    text = exposition("evaluator")
    again = merge_expositions({"evaluator": text})

    def values(of: str) -> dict[tuple[str, frozenset[tuple[str, str]]], str]:
        return {
            (s.name, frozenset((k, v) for k, v in s.labels.items() if k != "service")): str(s.value)
            for family in text_string_to_metric_families(of)
            for s in family.samples
        }

    assert values(again) == values(text)


NAMES = st.from_regex(r"sep_[a-z]{1,5}", fullmatch=True)
LABELS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(
    st.dictionaries(
        st.sampled_from(["gateway", "evaluator", "allocator", "guard"]),
        st.dictionaries(NAMES, st.tuples(LABELS, st.floats()), max_size=6),
    )
)
def test_no_series_is_lost_or_duplicated(
    services: dict[str, dict[str, tuple[str, float]]],
) -> None:
    texts = {}
    for service, gauges in services.items():
        registry = CollectorRegistry()
        for name, (label, value) in gauges.items():
            Gauge(name, "Help", ["instrument"], registry=registry).labels(label).set(value)
        texts[service] = generate_latest(registry).decode()
    text = merge_expositions(texts)
    families = list(text_string_to_metric_families(text))
    assert len({f.name for f in families}) == len(families)
    found = [(s.name, tuple(sorted(s.labels.items()))) for f in families for s in f.samples]
    assert len(found) == len(set(found)) == sum(map(len, services.values()))
