"""Which members of the broker's answers are left out now."""

from collections.abc import Mapping, Sequence

from sep_kit.logging import get_logger

from sep_gateway.domain.left_out import LeftOut
from sep_gateway.metrics import GatewayMetrics

_log = get_logger("LeftOut")

_MOST_NAMED = 50


class LeftOutMembers:
    """Counts, logs and lists members that can't be read, until a newer answer has them right."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._now = metrics.left_out
        self._total = metrics.left_out_total
        self._by_source: dict[str, Mapping[tuple[str, str], LeftOut]] = {}

    @property
    def current(self) -> tuple[LeftOut, ...]:
        """The members that the newest answers lack, at most fifty, by kind and name."""
        found = {key: m for members in self._by_source.values() for key, m in members.items()}
        return tuple(found[key] for key in sorted(found)[:_MOST_NAMED])

    def report(self, source: str, members: Sequence[LeftOut]) -> None:
        """Note what the newest answer of a source leaves out; it replaces the answer before."""
        for member in members:
            self._total.labels(member.kind).inc()
        self._replace(source, {(m.kind, m.name): m for m in members})

    def add(self, source: str, member: LeftOut) -> None:
        """Note one more member of a source whose members come one by one, as of a stream."""
        self._total.labels(member.kind).inc()
        known = {**self._by_source.get(source, {}), (member.kind, member.name): member}
        self._replace(source, dict(list(known.items())[-_MOST_NAMED:]))

    def _replace(self, source: str, after: Mapping[tuple[str, str], LeftOut]) -> None:
        before = self._by_source.pop(source, {})
        if after:
            self._by_source[source] = after
        for key, member in after.items():
            if key not in before:
                _log.warning(
                    "left out",
                    kind=member.kind,
                    name=member.name,
                    instrument=member.instrument,
                    error=member.text,
                )
        for kind, name in before.keys() - after.keys():
            _log.info("no longer left out", kind=kind, name=name)
        if before.keys() == after.keys():
            return
        counts = {kind: 0 for kind, _ in before}
        for kind, _ in (key for known in self._by_source.values() for key in known):
            counts[kind] = counts.get(kind, 0) + 1
        for kind, count in counts.items():
            self._now.labels(kind).set(count)
