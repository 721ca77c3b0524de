"""Settings of the local stack, and the environment of its parts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sep_edge.address import Address
from sep_local.check import check_environment
from sep_local.env_file import read_env_file
from sep_local.errors import StackError
from sep_local.parts import service_environment, stack_parts
from sep_local.settings import DEFAULT_PORTS, PAPER_NAMES, read_settings
from sep_local.up import ready_text

DEMO = Path(__file__).parents[3] / "deploy" / "demo.env"


def test_defaults_are_loopback_and_paper() -> None:
    settings = read_settings({})
    assert settings.environment == "paper"
    assert str(settings.http) == "127.0.0.1:8000"
    assert settings.envoy_admin is None
    assert all(address.is_loopback for address in settings.listeners().values())


def test_every_port_can_be_moved() -> None:
    moved = {name: str(30_000 + offset) for offset, name in enumerate(DEFAULT_PORTS)}
    listeners = read_settings(moved).listeners()
    assert {name: str(address.port) for name, address in listeners.items()} == moved


def test_port_base_moves_all_ports_at_once() -> None:
    listeners = read_settings({"HTTP_PORT": "9000"}, port_base=20_000).listeners()
    # The port between is that of the admin interface, which is off.
    expected = [*range(20_000, 20_007), 20_008]
    assert sorted(address.port for address in listeners.values()) == expected


def test_port_base_moves_the_admin_port_only_where_it_is_on() -> None:
    assert read_settings({}, 20_000).envoy_admin is None
    switched_on = read_settings({"ENVOY_ADMIN_PORT": "1"}, 20_000)
    assert switched_on.envoy_admin == Address("127.0.0.1", 20_007)


def test_the_demo_says_at_once_that_its_market_is_generated() -> None:
    demo = ready_text(read_settings({}))
    assert "THIS MARKET IS GENERATED AND MADE OF TRENDS" in demo
    practice = read_settings({"OANDA_ENVIRONMENT": "practice", "OANDA_ACCOUNT_ID": "101-1-1-1"})
    assert "GENERATED" not in ready_text(practice)


def test_the_printed_commands_run_where_the_folder_has_a_space(tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "write").write_text("k" * 32)
    printed = ready_text(read_settings({"SEP_RUN_DIR": str(folder)}))
    (key,) = [line for line in printed.splitlines() if line.startswith("  KEY=")]
    done = subprocess.run(
        ["sh", "-euc", f'{key}; echo "$KEY"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"Authorization: Bearer {'k' * 32}\n"


@pytest.mark.parametrize(
    ("env", "fault"),
    [
        ({"HTTP_PORT": "0"}, "HTTP_PORT='0': a port from 1 to 65535"),
        ({"GUARD_PORT": "70000"}, "GUARD_PORT='70000': a port from 1 to 65535"),
        ({"GUARD_PORT": "8000"}, "GUARD_PORT=8000: already the port of HTTP_PORT"),
        ({"HTTP_BIND": "localhost"}, "HTTP_BIND='localhost': an IP address, such as 127.0.0.1"),
        ({"OANDA_ENVIRONMENT": "demo"}, "OANDA_ENVIRONMENT='demo': one of paper, practice, live"),
        (
            {"OANDA_API_URL": "https://api-fxtrade.oanda.com"},
            "OANDA_API_URL leaves this machine, but OANDA_ENVIRONMENT is paper: unset it",
        ),
        (
            {"OANDA_API_URL": "http://127.0.0.1:80@example.com:80"},
            "OANDA_API_URL leaves this machine, but OANDA_ENVIRONMENT is paper: unset it",
        ),
    ],
)
def test_fault_names_setting_value_and_allowed_values(env: dict[str, str], fault: str) -> None:
    with pytest.raises(StackError) as caught:
        read_settings(env)
    assert caught.value.faults == (fault,)


@pytest.mark.parametrize(
    ("base", "fault"),
    [
        (65_533, "--port-base 65533: gives GATEWAY_PORT the port 65536"),
        (0, "--port-base 0: gives HTTP_PORT the port 0"),
        (-3, "--port-base -3: gives VALKEY_PORT the port -2"),
    ],
)
def test_port_base_out_of_range_is_a_fault(base: int, fault: str) -> None:
    with pytest.raises(StackError) as caught:
        read_settings({}, base)
    assert fault in caught.value.faults


def test_paper_orders_stay_on_this_machine() -> None:
    settings = read_settings({}, 20_000)
    env = service_environment(settings, {})
    assert env["OANDA_API_URL"] == env["OANDA_STREAM_URL"] == "http://127.0.0.1:20002"
    proxied = {"OANDA_API_URL": "http://127.0.0.1:9999"}
    assert service_environment(read_settings(proxied), proxied)["OANDA_API_URL"].endswith(":9999")


def test_real_broker_has_its_own_urls_and_no_paper_broker(tmp_path: Path) -> None:
    env = {"OANDA_ENVIRONMENT": "practice", "SEP_RUN_DIR": str(tmp_path)}
    settings = read_settings(env)
    assert service_environment(settings, env)["OANDA_API_URL"] == "https://api-fxpractice.oanda.com"
    assert "paper" not in [part.name for part in stack_parts(settings, env)]
    assert "PAPER_PORT" not in settings.listeners()


def test_token_reaches_only_gateway_and_paper_broker_and_misspelt_knobs_every_service(
    tmp_path: Path,
) -> None:
    env = {"OANDA_API_TOKEN": "secret", "ALOC_TOP_K": "3", "SEP_RUN_DIR": str(tmp_path)}
    parts = {part.name: part for part in stack_parts(read_settings(env), env)}
    holders = {name for name, part in parts.items() if "OANDA_API_TOKEN" in part.env}
    assert holders == {"gateway", "paper"}
    assert {name for name, part in parts.items() if "ALOC_TOP_K" not in part.env} == {
        "valkey",
        "envoy",
    }
    assert parts["guard"].env["GRPC_LISTEN"] == parts["gateway"].env["GUARD_ADDR"]


def test_address_reads_what_it_writes() -> None:
    for text in ("127.0.0.1:80", "[::1]:65535", "gateway:15051"):
        assert str(Address.parse(text)) == text
    for text in ("gateway", ":80", "gateway:", "gateway:0", "gateway:65536", "gateway:x"):
        with pytest.raises(ValueError, match="is not host:port"):
            Address.parse(text)


def test_demo_settings_are_read_and_safe() -> None:
    demo = read_env_file(DEMO)
    settings = read_settings(demo)
    assert settings.paper_trading
    assert settings.http.is_loopback
    assert demo["OANDA_API_TOKEN"] == "demo-token-not-a-secret"


def test_demo_settings_warn_of_the_calendar_alone() -> None:
    """It is simulated on purpose; every other warning would hide the ones that matter."""
    demo = read_env_file(DEMO)
    warnings = check_environment(service_environment(read_settings(demo), demo), demo)
    assert [warning.partition(":")[0] for warning in warnings] == ["MARKET_CALENDAR=24x7"]


def test_an_env_file_may_only_set_settings_of_ours() -> None:
    env = {"OANDA_API_TOKEN": "x", "PM_XYZZY": "1", "HTTP_PORT": "8000", "PAPER_SEED": "1"}
    check_environment(env)
    with pytest.raises(StackError) as refusal:
        check_environment(env, env)
    assert str(refusal.value).count("is not a setting of this stack") == 1
    assert "PM_XYZZY: is not a setting" in str(refusal.value)


def test_names_of_the_paper_broker_are_known() -> None:
    source = (Path(__file__).parents[3] / "simulators/paper_broker/src/sep_paper_broker").joinpath(
        "settings.py"
    )
    read = set(re.findall(r'_Source\("(PAPER_[A-Z0-9_]+)"', source.read_text()))
    assert read
    assert read == PAPER_NAMES | {"PAPER_PORT"}


def run_check(folder: Path, text: str, **environ: str) -> tuple[int, str]:
    (folder / "own.env").write_text(text)
    command = (sys.executable, "-m", "sep_local", "check", "--env-file", "own.env")
    done = subprocess.run(
        [*command, "--token-in-file"], cwd=folder, env={"PATH": os.environ["PATH"], **environ},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_check_names_every_fault_of_an_env_file_with_both_values(tmp_path: Path) -> None:
    text = "OANDA_ENVIRONMENT=practice\nEVAL_INTERVAL_SEC=600\nPM_XYZZY=1\n"
    code, shown = run_check(tmp_path, text, OANDA_API_URL="https://api-fxtrade.oanda.com")
    assert code == 1
    assert "EVAL_INTERVAL_SEC=600, GATES_BLOB_MAX_AGE_SEC=180" in shown
    assert "OANDA_ENVIRONMENT=practice, OANDA_API_URL=https://api-fxtrade.oanda.com" in shown
    assert "PM_XYZZY" in shown


def test_check_accepts_a_desktop_and_warns(tmp_path: Path) -> None:
    desktop = {"SESSION_MANAGER": "local/desk:@x", "PM_ID": "1", "LOGLEVEL": "info",
               "GUARD_METRICS_SERVICE_HOST": "10.0.0.1"}  # fmt: skip
    code, shown = run_check(tmp_path, "MARKET_CALENDAR=24x7\n", **desktop)
    assert code == 0
    assert re.findall(r"warning: (\w+)", shown) == ["LOGLEVEL", "MARKET_CALENDAR"]
