"""Alertmanager's HTTP API, as far as a test alert needs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT_S = 10.0
_SENT = "alertmanager_notification_requests_total"
_FAILED = "alertmanager_notification_requests_failed_total"


class AlertmanagerError(Exception):
    """Alertmanager refused a call, did not answer, or answered something else."""


class Destination(NamedTuple):
    """A receiver of the configuration, and one kind of message that it sends, as ``telegram``."""

    receiver: str
    integration: str


class Requests(NamedTuple):
    """How many requests were made to a destination since Alertmanager started."""

    sent: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class AlertState:
    """What Alertmanager does with an alert.

    Attributes:
        receivers: names of the receivers that its route leads to.
        suppressed: whether a silence or another alert keeps it from being sent.
    """

    receivers: tuple[str, ...]
    suppressed: bool


class Alertmanager:
    """A connection to one Alertmanager. Every method raises ``AlertmanagerError``."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(timeout=_TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def send(self, alert: Mapping[str, Any]) -> None:
        """Hand an alert over, in the form of Alertmanager's API."""
        self._call("POST", "/api/v2/alerts", json=[alert])

    def find(self, label: str, value: str) -> AlertState | None:
        """The alert with this label, or None while it is not listed."""
        query = {"filter": f'{label}="{value}"'}
        found = self._call("GET", "/api/v2/alerts", params=query)
        try:
            states = [
                AlertState(
                    receivers=tuple(str(receiver["name"]) for receiver in alert["receivers"]),
                    suppressed=alert["status"]["state"] == "suppressed",
                )
                for alert in found.json()
            ]
        except (ValueError, TypeError, KeyError) as error:
            raise AlertmanagerError("GET /api/v2/alerts: not an answer of Alertmanager") from error
        return states[0] if states else None

    def requests(self) -> dict[Destination, Requests]:
        """Requests made to each destination.

        The receiver is "" in each where Alertmanager runs without receiver-name-in-metrics.
        """
        counts: dict[str, dict[Destination, int]] = {_SENT: {}, _FAILED: {}}
        text = self._call("GET", "/metrics").text
        try:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.name in counts:
                        labels = sample.labels
                        place = Destination(labels.get("receiver_name", ""), labels["integration"])
                        counts[sample.name][place] = int(sample.value)
        except (ValueError, KeyError) as error:
            raise AlertmanagerError("GET /metrics: not the metrics of Alertmanager") from error
        return {
            place: Requests(sent, counts[_FAILED].get(place, 0))
            for place, sent in counts[_SENT].items()
        }

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, self._url + path, **arguments)
        except httpx.TimeoutException as error:
            raise AlertmanagerError(f"{method} {path}: took too long") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AlertmanagerError(f"{method} {path}: {error}") from error
        if answer.is_success:
            return answer
        raise AlertmanagerError(
            f"{method} {path}: status {answer.status_code}: {answer.text[:300]}"
        )
