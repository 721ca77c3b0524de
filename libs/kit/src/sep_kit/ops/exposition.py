"""Merges the Prometheus expositions of several services into one."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def merge_expositions(texts: Mapping[str, str]) -> str:
    """Merge expositions without duplicate series.

    A metric that several services export (process, loop and gRPC metrics) gets the label
    ``service``. All other metrics keep their labels.

    Args:
        texts: exposition by service name.
    """
    parsed = {name: list(text_string_to_metric_families(text)) for name, text in texts.items()}
    exporters: dict[str, int] = {}
    for families in parsed.values():
        for family in families:
            exporters[family.name] = exporters.get(family.name, 0) + 1
    merged: dict[str, Metric] = {}
    for service, families in sorted(parsed.items()):
        for family in families:
            target = merged.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            shared = exporters[family.name] > 1 or _is_common(family.name)
            for sample in family.samples:
                labels = {**sample.labels, "service": service} if shared else sample.labels
                target.samples.append(sample._replace(labels=labels))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(merged.values()))
    return generate_latest(registry).decode()


def _is_common(name: str) -> bool:
    # Labelled even if only one service answers, so that series don't change their labels.
    return name.startswith(("process_", "python_", "sep_loop_", "sep_grpc_", "sep_lease_"))
