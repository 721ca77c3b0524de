"""Generates Alertmanager's configurations: `make generate` writes them.

They share routes and inhibition and differ in where the messages go. Every secret is a file in
``/etc/alertmanager/secrets``, so that no configuration has to be edited but the one for mail.
"""

from typing import Any

import yaml

SECRETS = "/etc/alertmanager/secrets"
TEST_ALERT, WATCHDOG = "SepAlertTest", "SepWatchdog"

_FOLLOWS_FROM: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    # Cause, what follows from it and needs no message of its own, labels that must be equal.
    ('alertname="SepServiceAway"', ("SepLoopStalled",), ("service",)),
    (
        'alertname="SepServiceAway",service="evaluator"',
        ("SepGatesBlobStale", "SepWeightsHeld", "SepFewEligible"),
        (),
    ),
    (
        'alertname="SepServiceAway",service="gateway"',
        ("SepBrokerLinkDown", "SepLoopStalled", "SepGatesBlobStale", "SepWeightsHeld"),
        (),
    ),
    ('alertname="SepBrokerAccessDenied"', ("SepBrokerLinkDown",), ()),
    (
        'alertname="SepBrokerLinkDown"',
        ("SepLoopStalled", "SepGatesBlobStale", "SepWeightsHeld", "SepFewEligible"),
        (),
    ),
    ('alertname="SepGatesBlobStale"', ("SepWeightsHeld", "SepFewEligible"), ()),
    ('alertname="SepEqualRejects"', ("SepInstrumentLocked", "SepOrdersRefused"), ("instrument",)),
)

_MESSAGE = (
    "{{ range .Alerts }}{{ .Status | toUpper }} {{ .Labels.alertname }}: "
    "{{ .Annotations.summary }}\n{{ .Annotations.runbook }}\n{{ end }}"
)


def route() -> dict[str, Any]:
    """The tree of routes; what fits no route goes to the phone."""
    # A test has a group of its own, so that it waits for nothing.
    test = {"matchers": [f'alertname="{TEST_ALERT}"'], "group_by": ["..."], "group_wait": "0s"}
    return {
        "receiver": "phone",
        "group_by": ["alertname"],
        "group_wait": "10s",
        "group_interval": "5m",
        "repeat_interval": "1h",
        "routes": [
            {
                "matchers": [f'alertname="{WATCHDOG}"'],
                "receiver": "watchdog",
                "group_wait": "0s",
                "group_interval": "1m",
                # Below the interval: each minute sends.
                "repeat_interval": "50s",
            },
            {
                "matchers": ['severity="ticket"'],
                "receiver": "tickets",
                "group_wait": "1m",
                "repeat_interval": "12h",
                "routes": [test],
            },
            {"matchers": ['severity="page"'], "receiver": "phone", "routes": [test]},
        ],
    }


def inhibit_rules() -> list[dict[str, Any]]:
    """What is not sent while its cause fires."""
    rules: list[dict[str, Any]] = []
    for cause, followers, equal in _FOLLOWS_FROM:
        rule: dict[str, Any] = {
            "source_matchers": cause.split(","),
            "target_matchers": [f'alertname=~"{"|".join(followers)}"'],
        }
        rules.append(rule | ({"equal": list(equal)} if equal else {}))
    return rules


def _receivers(phone: dict[str, Any], tickets: dict[str, Any], *, watched: bool = True) -> Any:
    # An empty resolve would look like another sign of life, or like a failure.
    ping = {"url_file": f"{SECRETS}/watchdog_url", "send_resolved": False}
    watchdog = {"webhook_configs": [ping]} if watched else {}
    return [
        {"name": "phone", **phone},
        {"name": "tickets", **tickets},
        {"name": "watchdog", **watchdog},
    ]


def _telegram(*, silent: bool) -> dict[str, Any]:
    telegram: dict[str, Any] = {
        "bot_token_file": f"{SECRETS}/telegram_bot_token",
        "chat_id_file": f"{SECRETS}/telegram_chat_id",
        # Plain text: a name with an underscore is no markup.
        "parse_mode": "",
        "message": _MESSAGE,
        "disable_notifications": silent,
    }
    return {"telegram_configs": [telegram]}


def _ntfy(name: str) -> dict[str, Any]:
    return {"webhook_configs": [{"url_file": f"{SECRETS}/ntfy_{name}_url"}]}


def _mail(urgency: str) -> dict[str, Any]:
    mail: dict[str, Any] = {
        "to": "operator@example.com",
        "from": "sep@example.com",
        "smarthost": "smtp.example.com:587",
        "auth_username": "sep@example.com",
        "auth_password_file": f"{SECRETS}/mail_password",
        "send_resolved": True,
        "headers": {
            "Subject": f"SEP {urgency}: " + "{{ .Status | toUpper }} {{ .CommonLabels.alertname }}"
        },
    }
    return {"email_configs": [mail]}


def documents() -> dict[str, str]:
    """The text of each file by name."""
    files = {
        "alertmanager": (
            "No destination: alerts are only shown, on port 9093 of this machine.",
            "none",
            _receivers({}, {}, watched=False),
        ),
        "telegram": (
            "Messages by a Telegram bot; tickets make no sound.",
            "telegram_bot_token, telegram_chat_id, watchdog_url",
            _receivers(_telegram(silent=False), _telegram(silent=True)),
        ),
        "ntfy": (
            "Messages by ntfy.",
            "ntfy_page_url, ntfy_ticket_url, watchdog_url",
            _receivers(_ntfy("page"), _ntfy("ticket")),
        ),
        "mail": (
            "Messages by mail: copy this file, and change the addresses and the server.",
            "mail_password, watchdog_url",
            _receivers(_mail("page"), _mail("ticket")),
        ),
    }
    return {f"{name}.yaml": _render(*parts) for name, parts in files.items()}


def _render(purpose: str, secrets: str, receivers: list[dict[str, Any]]) -> str:
    head = [
        purpose,
        f"Secret files: {secrets}.",
        "docs/operations/alerts.md. Generated by make.py beside it.",
    ]
    body = {"route": route(), "inhibit_rules": inhibit_rules(), "receivers": receivers}
    text = yaml.dump(body, Dumper=_Plain, sort_keys=False, width=100)
    return "".join(f"# {line}\n" for line in head) + text


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice in full, not as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
