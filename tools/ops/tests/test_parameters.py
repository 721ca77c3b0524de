"""``sep-params``: verdicts of a run decide, with or without a running stack."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sep_ops.parameters.verdicts import NO_RESULTS, RunError, read_run

UNREACHABLE = "http://127.0.0.1:9"


def verdict(**changes: Any) -> dict[str, Any]:
    return {
        "instrument": "EUR_USD",
        "params": {"c_min": 0.6, "direction_lookback": 12},
        "promote": True,
        "reasons": [],
        "windows": 4,
        **changes,
    }


def run_of(folder: Path, *verdicts: dict[str, Any], **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    manifest = {"format": 1, "verdicts": list(verdicts), **changes}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def sep_params(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-P", "-c", "from sep_ops.parameters.cli import main; main()"]
    return subprocess.run(
        [*program, *map(str, arguments), "--url", UNREACHABLE],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_run_is_named_by_its_folder_and_its_content(tmp_path: Path) -> None:
    first = read_run(run_of(tmp_path / "run", verdict()))
    assert read_run(tmp_path / "run") == first
    assert first.name.startswith("run@")
    assert read_run(run_of(tmp_path / "run", verdict(promote=False))).name != first.name


def test_a_verdict_without_test_windows_counts_as_none(tmp_path: Path) -> None:
    (found,) = read_run(run_of(tmp_path / "run", verdict(windows=0))).of(["EUR_USD"])
    assert found.against == (NO_RESULTS,)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"verdicts": [{}]},
        {"verdicts": None},
        {"verdicts": [verdict(params={"c_min": "high"})]},
        {"verdicts": [verdict(params=[0.6])]},
    ],
)
def test_a_manifest_that_is_not_whole_is_no_run(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"manifest\.json is not the manifest of a run"):
        read_run(run_of(tmp_path / "run", **{"verdicts": []} | changes))


def test_a_dry_run_needs_no_stack_and_refuses_with_the_reasons(tmp_path: Path) -> None:
    good = run_of(tmp_path / "good", verdict())
    promote = ("--reason", "a test", "--dry-run")
    done = sep_params("promote", good, "EUR_USD", *promote)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the stack does not answer" in done.stdout
    bad = run_of(tmp_path / "bad", verdict(promote=False, reasons=["NULL_EXPLAINS", "PEAK"]))
    done = sep_params("promote", bad, "EUR_USD", *promote)
    assert done.returncode == 1
    assert "NULL_EXPLAINS, PEAK" in done.stdout
    done = sep_params("promote", bad, "EUR_USD", *promote, "--forced-by", "alice")
    assert done.returncode == 0


def test_a_stack_that_does_not_answer_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", verdict())
    for arguments in (
        ("promote", run, "EUR_USD", "--reason", "a test"),
        ("rollback", "EUR_USD", "--reason", "a test"),
        ("diff", run),
        ("show",),
        ("history",),
    ):
        assert sep_params(*arguments).returncode == 69, arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("promote", "nowhere", "EUR_USD", "--reason", "x"), "not a folder"),
        (("promote", ".", "EUR_USD", "--reason", "x"), "not the manifest of a run"),
        (("promote", ".", "eurusd", "--reason", "x"), "no instrument"),
        (("promote", ".", "EUR_USD", "--reason", "  "), "must say why"),
        (("promote", ".", "EUR_USD"), "--reason"),
        (("history", "--limit", "0"), "1 to 1000"),
    ],
)
def test_a_wrong_call_says_what_is_allowed(arguments: tuple[str, ...], words: str) -> None:
    done = sep_params(*arguments)
    assert done.returncode == 2
    assert words in done.stdout + done.stderr


def test_an_instrument_that_the_run_did_not_judge_is_refused(tmp_path: Path) -> None:
    done = sep_params(
        "promote", run_of(tmp_path / "run", verdict()), "USD_JPY", "--reason", "x", "--dry-run"
    )
    assert done.returncode == 2
    assert "it judged EUR_USD" in done.stdout
