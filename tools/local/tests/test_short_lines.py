"""What the console shows of a log line; the log files hold the whole line."""

import pytest
from sep_local.short_lines import short_line

ORDER = (
    b"2026-11-26T22:39:47.672821Z [info     ] order"
    b" client_order_id=sep-9cbf1c3ff85ec5f3a7c804b833ee45157b14bc8d component=PortfolioManager"
    b" decision_id=a39a3287cf7b4a2c8363753735cf174f:USD_JPY instrument=USD_JPY outcome=FILLED"
    b" pl=-12.50 price=147.901 reason= reduce_only=True service=guard units=-184719"
)


def test_a_line_of_a_service_has_its_time_its_facts_and_the_beginning_of_its_ids() -> None:
    assert (
        short_line(ORDER)
        == (
            "22:39:47 order order_id=sep-9cbf1c3f… decision=a39a3287… instrument=USD_JPY"
            " outcome=FILLED pl=-12.50 price=147.901 reduce_only units=-184719"
        ).encode()
    )


def test_a_long_line_is_cut_and_a_warning_is_not() -> None:
    text = "x" * 500
    info = short_line(f"2026-11-26T22:39:47.67Z [info     ] {text}".encode())
    warning = short_line(f"2026-11-26T22:39:47.67Z [warning  ] {text}".encode())
    assert info is not None
    assert len(info.decode()) < 160
    assert warning == f"22:39:47 WARNING {text}".encode()


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("weights={'AUD_USD': 0.099999999}", " weights={'AUD_USD': 0.1000}"),
        ("error='two words=3 and more' x=1", " error='two words=3 and more' x=1"),
        ("method=/sep.gateway.v1.GatewayService/ListTrades", " method=ListTrades"),
        ("price=1.37126 reasons=[] token=17", " price=1.37126"),
        ("request_id=82b2c78f9906ab0f581881877739d961 service=guard", ""),
        (
            (
                "error='gateway does not answer: failed to connect to all addresses; "
                "last error: UNKNOWN: ipv4:127.0.0.1:15051: "
                "Failed to connect to remote host: Connection refused'"
            ),
            " error='gateway does not answer: 127.0.0.1:15051: Connection refused'",
        ),
    ],
)
def test_fields_are_shortened_and_what_the_prefix_says_is_dropped(field: str, shown: str) -> None:
    line = short_line(f"2026-11-26T22:39:47.67Z [info     ] event {field}".encode())
    assert line == f"22:39:47 event{shown}".encode()


def test_a_line_of_the_access_log_says_what_was_called_and_how_it_ended() -> None:
    line = (
        b'{"client":"127.0.0.1","flags":"-","grpc_status":"UNAVAILABLE","method":"GET",'
        b'"milliseconds":24,"path":"/api/status","status":503,"time":"2026-11-26T22:39:14.203Z"}'
    )
    assert short_line(line) == b"22:39:14 GET /api/status 503 24 ms UNAVAILABLE from 127.0.0.1"


def test_notes_of_valkey_about_the_machine_are_in_the_log_file_only() -> None:
    assert short_line(b"12:M 26 Nov 2026 # WARNING Memory overcommit must be enabled!") is None
    kept = b"12:M 26 Nov 2026 # WARNING: the append-only file is truncated"
    assert short_line(kept) == kept


@pytest.mark.parametrize("line", [b"", b"Traceback (most recent call last):", b'{"event": "x"}'])
def test_every_other_line_is_shown_as_it_is(line: bytes) -> None:
    assert short_line(line) == line
