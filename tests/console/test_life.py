"""The console over time: keys, reloads, tabs, parts that die, and a tab that no one sees."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
import trustme
from playwright.sync_api import Browser, expect

from tests.console.screen import Screen
from tests.e2e.conftest import Stack

Open = Callable[..., Screen]
HIDE = """state => {
  Object.defineProperty(document, 'visibilityState', {get: () => state, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_a_key_survives_a_reload_only_if_asked_to(open_tab: Open, key: str) -> None:
    screen = open_tab()
    screen.use_key(key)
    screen.page.reload()
    expect(screen.page.get_by_role("button", name="No key")).to_be_visible()
    screen.use_key(key, keep=True)
    screen.page.reload()
    expect(screen.page.get_by_role("button", name="Key set")).to_be_visible()
    assert screen.page.evaluate("JSON.stringify(localStorage)").find(key) == -1
    assert all(key not in request.url for request in screen.requests)


def reconciled(stack: Stack, key: str) -> int:
    """The status of a dry run with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{stack.url}/api/trade/reconcile"
    return httpx.post(url, json={"dry_run": True}, headers=headers, timeout=30).status_code


def test_a_removed_key_is_refused_and_a_new_one_works(open_tab: Open, stack: Stack) -> None:
    keys = stack.run_dir / "keys"
    for name in ("write.old", "write.new"):
        (keys / name).write_text(name[-3:] * 12)
        (keys / name).chmod(0o600)
    (keys / "write.old").unlink()
    deadline = time.monotonic() + 30  # services read new keys within a second
    while reconciled(stack, "new" * 12) != httpx.codes.OK:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    screen = open_tab("why")
    screen.use_key("old" * 12)
    screen.page.get_by_role("button", name="Reconcile, dry run").click()
    expect(screen.dialog.get_by_role("alert")).to_contain_text("WRONG_KEY")
    screen.dialog.get_by_role("button", name="Close").click()
    screen.page.get_by_role("button", name="Key set").click()
    screen.dialog.get_by_label("Key (after make run").fill("new" * 12)
    screen.dialog.get_by_role("button", name="Use this key").click()
    screen.page.get_by_role("button", name="Reconcile, dry run").click()
    expect(screen.dialog.get_by_role("row")).to_have_count(9)
    (keys / "write.new").unlink()


def test_two_tabs_show_the_same_engage(open_tab: Open, key: str) -> None:
    first, second = open_tab(), open_tab("positions")
    first.use_key(key)
    first.page.keyboard.press("k")
    first.page.keyboard.press("Enter")
    expect(first.dialog).to_contain_text("Engaged at")
    expect(second.page.get_by_text("Kill switch engaged")).to_be_visible()


def test_a_tab_in_the_background_reads_nothing(open_tab: Open) -> None:
    screen = open_tab()
    screen.page.evaluate(HIDE, "hidden")
    before = screen.settle()  # What was under way may end.
    screen.page.wait_for_timeout(7000)  # Longer than any interval of the overview but one.
    assert len(screen.requests) == before
    screen.page.evaluate(HIDE, "visible")
    for _ in range(60):
        screen.page.wait_for_timeout(500)
        if len(screen.requests) > before:
            return
    pytest.fail("a visible tab reads nothing")


# Name of a part, and what the safety bar may say while it hangs: who answers /api/status without it
# says what is away; if nobody can, the console says that.
AWAY = {
    "guard": "not serving: guard",
    "evaluator": "not serving: evaluator",
    "allocator": "not serving: allocator",
    "gateway": "not serving:|no answer|status can't be read",
    "paper_broker": "not serving: gateway|broker link is down",
    "valkey": "not serving:|no answer|status can't be read",
}


@pytest.mark.parametrize("name", AWAY)
def test_a_part_that_hangs_is_named_and_comes_back(open_tab: Open, stack: Stack, name: str) -> None:
    screen = open_tab()
    light = screen.page.get_by_role("region", name="Safety")
    verdict = screen.page.get_by_role("region", name="Is it trading")
    with hanging(stack, name):
        expect(light).to_contain_text(re.compile(AWAY[name]), timeout=60_000)
        expect(light).not_to_contain_text("all parts serve")
        expect(verdict).to_contain_text(re.compile("Impaired|Unknown|Not trading|Waiting|Released"))
        expect(verdict).not_to_contain_text("An entry would pass")
    expect(light).to_contain_text("all parts serve", timeout=60_000)
    expect(light).to_contain_text("up to date", timeout=60_000)


def test_a_journal_that_hangs_costs_history_alone(open_tab: Open, stack: Stack) -> None:
    screen = open_tab()
    light = screen.page.get_by_role("region", name="Safety")
    with hanging(stack, "journal"):
        expect(light).to_contain_text("not serving: journal", timeout=60_000)
        expect(screen.page.get_by_text("history is missing, trading goes on")).to_be_visible()
        expect(screen.page.get_by_text("Impaired")).to_have_count(0)
        screen.page.goto(f"{screen.url}/#/decisions")
        panel = screen.page.locator("section", has=screen.page.get_by_role("heading", level=2))
        expect(panel.get_by_role("status").first).to_be_visible(timeout=60_000)
        expect(screen.page.get_by_text("Nothing that fits was decided")).to_have_count(0)
    expect(light).to_contain_text("all parts serve", timeout=60_000)


@contextmanager
def hanging(stack: Stack, name: str) -> Iterator[None]:
    """A part that answers nothing, as a machine that hangs."""
    pid = process_of(stack, "valkey-server") if name == "valkey" else stack.parts()[name]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def process_of(stack: Stack, program: str) -> int:
    """The process of the stack that runs a program."""
    for pid in stack.processes():
        with suppress(OSError):  # It ended meanwhile.
            if program in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode():
                return pid
    raise LookupError(f"no process of the stack runs {program}")


def test_a_stack_that_is_gone_is_unknown_and_found_again(open_tab: Open, stack: Stack) -> None:
    screen = open_tab()
    screen.page.context.set_offline(True)
    expect(
        screen.page.get_by_text("The stack does not answer. Positions may be open.")
    ).to_be_visible()
    expect(screen.page.get_by_text("Kill switch unknown")).to_be_visible()
    screen.page.context.set_offline(False)
    expect(screen.page.get_by_text("all parts serve")).to_be_visible(timeout=40_000)


DESK = "desk.example"


@pytest.fixture(scope="module")
def secure(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack as it is served to others: TLS, a name of its own, and no reading without a key."""
    folder = tmp_path_factory.mktemp("secure")
    certificate = trustme.CA().issue_cert(DESK)
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    running = Stack(folder / "run", "--console", str(built))
    running.start(
        EDGE_TLS_CERT=str(folder / "cert.pem"),
        EDGE_TLS_KEY=str(folder / "key.pem"),
        ALLOWED_HOSTS=DESK,
        API_READS="key",
    )
    running.url = f"https://{DESK}:{running.port}"
    yield running
    running.stop()


@pytest.fixture
def visit(browser: Browser, secure: Stack) -> Iterator[Screen]:
    """A tab at that stack, which trusts its certificate; at the end it may have had no error."""
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(30_000)
    screen = Screen(context.new_page(), secure.url)
    screen.page.goto(secure.url)
    yield screen
    context.close()
    assert screen.faults == []
    assert screen.foreign == []  # Nor anything by plain HTTP.


@pytest.mark.timeout(600)  # It starts the stack.
def test_behind_tls_reading_needs_a_key_says_so_and_works_with_one(
    visit: Screen, secure: Stack
) -> None:
    """Under ALLOWED_HOSTS and API_READS=key."""
    page = visit.page
    expect(page.get_by_text("Reading needs a key here.")).to_be_visible()
    expect(page.get_by_text("MISSING_KEY").first).to_be_visible()
    key = (secure.run_dir / "keys" / "write").read_text().strip()
    visit.use_key(key, keep=True)
    for _ in range(2):
        safety = page.get_by_role("region", name="Safety")
        expect(safety).to_contain_text("all parts serve", timeout=60_000)
        expect(safety).to_contain_text("up to date", timeout=60_000)
        expect(page.get_by_text("MISSING_KEY")).to_have_count(0)
        page.reload()  # The key survives it: it is in this tab's session storage.
    assert key not in str(page.evaluate("JSON.stringify(localStorage)"))
    assert page.evaluate("isSecureContext")


def test_another_name_of_the_machine_serves_no_console(browser: Browser, secure: Stack) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    answer = page.goto(f"https://rebound.example:{secure.port}/")
    assert answer
    assert answer.status == 421
    assert "HOST_NOT_ALLOWED" in answer.text()
    context.close()


# Two at a time, which takes less of it. The broker's account is not the stack's to restart.
RESTARTED = (("journal", "guard"), ("evaluator", "allocator"), ("gateway", "envoy"))


@pytest.mark.timeout(600)
def test_a_tab_finds_each_part_again_after_its_restart(visit: Screen, secure: Stack) -> None:
    visit.use_key((secure.run_dir / "keys" / "write").read_text().strip())
    serves(visit)
    for names in RESTARTED:
        before = processes_of(secure, names)
        assert len(before) == len(names)
        streams = visit.reads("/api/events")
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        wait_in(visit, partial(restarted, secure, before))
        # A tab waits longer and longer, half a minute at most, while nothing answers.
        wait_in(visit, partial(read_again, visit, "/api/status", visit.reads("/api/status")))
        if {"journal", "envoy"} & set(names):
            wait_in(visit, partial(read_again, visit, "/api/events", streams))
        serves(visit)
    visit.page.keyboard.press("k")
    visit.send(
        visit.dialog.get_by_role("button", name=re.compile("^Engage( again)?$")), "Engaged at"
    )


def serves(screen: Screen) -> None:
    """Wait until every part serves, and events arrive."""
    safety = screen.page.get_by_role("region", name="Safety")
    expect(safety).to_contain_text("all parts serve", timeout=90_000)
    expect(safety).to_contain_text("up to date", timeout=90_000)


def wait_in(screen: Screen, condition: Callable[[], bool]) -> None:
    """Wait for a condition while the tab goes on."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, screen.page.get_by_role("region").first.inner_text()
        screen.page.wait_for_timeout(500)


def read_again(screen: Screen, path: str, times: int) -> bool:
    """Whether a path was read more often than so many times."""
    return screen.reads(path) > times


def processes_of(stack: Stack, names: Iterable[str]) -> dict[str, int]:
    """The processes of those parts that run."""
    found = stack.parts()
    with suppress(LookupError):
        found["envoy"] = process_of(stack, "envoy")
    return {name: found[name] for name in names if name in found}


def restarted(stack: Stack, before: dict[str, int]) -> bool:
    """Whether each part has another process than before."""
    now = processes_of(stack, before)
    return all(name in now and now[name] != pid for name, pid in before.items())
