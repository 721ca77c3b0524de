"""``sep-ops alert --test`` against an HTTP server that answers as Alertmanager does."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from sep_ops.alert import judge
from sep_ops.alertmanager import AlertState, Destination, Requests
from sep_testing.alertmanager import FakeAlertmanager, serving

PHONE = Destination("phone", "telegram")
WATCHDOG = Destination("watchdog", "webhook")


@pytest.fixture
def alertmanager() -> Iterator[FakeAlertmanager]:
    with serving(FakeAlertmanager()) as fake:
        yield fake


def send(fake: FakeAlertmanager, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "sep_ops", "alert", "--test", "--url", fake.url, *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_page_that_the_phone_takes_exits_with_0(alertmanager: FakeAlertmanager) -> None:
    assert send(alertmanager) == (0, "phone by telegram: delivered\n")
    (alert,) = alertmanager.alerts
    assert alert["labels"]["alertname"] == "SepAlertTest"
    assert alert["labels"]["severity"] == "page"
    assert alert["startsAt"] < alert["endsAt"]
    mark = alert["labels"]["test"]
    assert all(mark in query for query in alertmanager.queries)


def test_a_ticket_has_the_severity_of_one(alertmanager: FakeAlertmanager) -> None:
    send(alertmanager, "--severity", "ticket")
    assert alertmanager.alerts[0]["labels"]["severity"] == "ticket"


def test_a_destination_that_takes_it_at_the_third_try_has_taken_it(
    alertmanager: FakeAlertmanager,
) -> None:
    alertmanager.fails = {PHONE: 2}
    assert send(alertmanager) == (0, "phone by telegram: delivered\n")


def test_a_destination_that_refuses_exits_with_1(alertmanager: FakeAlertmanager) -> None:
    mail = Destination("phone", "email")
    alertmanager.destinations = (PHONE, mail)
    alertmanager.fails = {mail: 10_000}
    code, output = send(alertmanager, "--wait", "2")
    assert code == 1, output
    assert "phone by telegram: delivered" in output
    assert "phone by email: FAILED: " in output
    assert "requests failed" in output


def test_a_receiver_without_a_destination_exits_with_1(alertmanager: FakeAlertmanager) -> None:
    alertmanager.destinations = ()
    code, output = send(alertmanager, "--wait", "1")
    assert (code, output) == (1, "phone: FAILED: no destination in Alertmanager's configuration\n")


def test_a_silenced_alert_exits_with_1(alertmanager: FakeAlertmanager) -> None:
    alertmanager.suppressed = True
    code, output = send(alertmanager, "--wait", "1")
    assert code == 1, output
    assert "suppresses" in output


def test_metrics_without_receivers_name_the_option_that_is_missing(
    alertmanager: FakeAlertmanager,
) -> None:
    alertmanager.names_receivers = False
    code, output = send(alertmanager, "--wait", "1")
    assert code == 1, output
    assert "receiver-name-in-metrics" in output


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/api/v2/alerts", 500, "no more alerts"),
        ("/api/v2/alerts", 200, "<html>"),
        ("/api/v2/alerts", 200, '[{"receivers": 5}]'),
        ("/metrics", 404, "page not found"),
        ("/metrics", 200, "alertmanager_notification_requests_total{} x"),
        ("/metrics", 200, "alertmanager_notification_requests_total 5\n"),
    ],
)
def test_a_wrong_answer_exits_with_1_and_names_the_call(
    alertmanager: FakeAlertmanager, path: str, status: int, text: str
) -> None:
    alertmanager.broken = {path: (status, text)}
    code, output = send(alertmanager, "--wait", "1")
    assert code == 1, output
    assert output.startswith("FAILED: "), output
    assert path in output


def test_an_alertmanager_that_is_not_there_exits_with_1() -> None:
    code, output = send(FakeAlertmanager(url="http://127.0.0.1:9"))
    assert code == 1, output
    assert output.startswith("FAILED: GET /metrics: "), output


@pytest.mark.parametrize("seconds", ["0", "601", "-1", "1.5", "soon"])
def test_a_wait_that_is_none_exits_with_2(alertmanager: FakeAlertmanager, seconds: str) -> None:
    code, output = send(alertmanager, f"--wait={seconds}")
    assert code == 2, output
    assert "whole seconds, 1 to 600" in output
    assert alertmanager.alerts == []


def test_an_alert_that_is_not_listed_has_failed() -> None:
    (outcome,) = judge(None, {}, {PHONE: Requests(1, 0)})
    assert not outcome.delivered


def test_requests_before_the_alert_prove_nothing() -> None:
    state = AlertState(receivers=("phone",), suppressed=False)
    counts = {PHONE: Requests(7, 2)}
    (outcome,) = judge(state, counts, counts)
    assert not outcome.delivered
    assert "--wait" in outcome.words


def test_requests_of_another_receiver_prove_nothing() -> None:
    state = AlertState(receivers=("phone",), suppressed=False)
    before = {PHONE: Requests(0, 0), WATCHDOG: Requests(3, 0)}
    after = {PHONE: Requests(0, 0), WATCHDOG: Requests(4, 0)}
    assert [o.delivered for o in judge(state, before, after)] == [False]
