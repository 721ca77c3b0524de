"""The union of several services' Prometheus expositions, each series once."""

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
    """One exposition of all services.

    What each service has of its own kind keeps its labels. A family that more than
    one service exports (processes, loops, gRPC) gets the label ``service``, so that
    no series appears twice.

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
            # Families of one exporter keep their labels as the contract names them.
            shared = exporters[family.name] > 1 or _is_common(family.name)
            for sample in family.samples:
                labels = {**sample.labels, "service": service} if shared else sample.labels
                target.samples.append(sample._replace(labels=labels))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(merged.values()))
    return generate_latest(registry).decode()


def _is_common(name: str) -> bool:
    # Labelled even while only one service answers: a label must not come and go.
    return name.startswith(("process_", "python_", "sep_loop_", "sep_grpc_", "sep_lease_"))
