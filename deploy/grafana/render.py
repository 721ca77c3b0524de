"""Panels and dashboards as values, and their rendering as Grafana's JSON."""

from dataclasses import dataclass, field
from typing import Any

_SOURCE = {"type": "prometheus", "uid": "prometheus"}
_WIDTH, _HEIGHT = 12, 8


@dataclass(frozen=True)
class Panel:
    """A chart; ``queries`` maps a legend to its query."""

    title: str
    queries: dict[str, str]
    about: str = ""
    unit: str = "short"
    kind: str = "timeseries"
    bounds: tuple[float, float] | None = None
    steps: tuple[tuple[float | None, str], ...] = ()
    right: str = ""
    """Legend of the query whose axis is on the right."""


@dataclass(frozen=True)
class Dashboard:
    """A page of panels, two per row."""

    uid: str
    title: str
    panels: tuple[Panel, ...] = field(default_factory=tuple)


def quantile(share: float, name: str, by: str, where: str = "") -> str:
    """A quantile of a histogram over five minutes."""
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({name}_bucket{where}[5m])))"


def render(dashboard: Dashboard) -> dict[str, Any]:
    """A dashboard in the JSON model of Grafana."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["sep"],
        "editable": False,
        "refresh": "15s",
        "schemaVersion": 41,
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "links": [{"type": "dashboards", "tags": ["sep"], "title": "SEP", "asDropdown": False}],
        "panels": [_panel(number, panel) for number, panel in enumerate(dashboard.panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.bounds:
        defaults |= {"min": panel.bounds[0], "max": panel.bounds[1]}
    if panel.steps:
        steps = [{"value": value, "color": color} for value, color in panel.steps]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        if panel.kind == "timeseries":
            defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
        else:
            defaults["color"] = {"mode": "thresholds"}
    overrides = []
    if panel.right:
        overrides.append(
            {
                "matcher": {"id": "byName", "options": panel.right},
                "properties": [{"id": "custom.axisPlacement", "value": "right"}],
            }
        )
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": {
            "x": number % 2 * _WIDTH,
            "y": number // 2 * _HEIGHT,
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for n, (legend, query) in enumerate(panel.queries.items())
        ],
    }
