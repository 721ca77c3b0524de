"""Locked digests, the bill of materials, and the audit of the pinned versions."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "requirements"
DIGEST = "a" * 64


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    """The scripts import each other from their folder."""
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def file(name: str, digest: str) -> dict[str, Any]:
    return {"filename": name, "hashes": {"sha256": digest}}


def test_every_pinned_version_has_its_digests() -> None:
    command = [sys.executable, str(FOLDER / "lock.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "pkg-1.0-py3-none-any.whl",
        "pkg-1.0-py2.py3-none-any.whl",
        "pkg-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "pkg-1.0-cp313-cp313-manylinux_2_28_aarch64.whl",
        "pkg-1.0-cp39-abi3-manylinux_2_34_x86_64.whl",
        "pkg-1.0-1-py3-none-manylinux_2_28_x86_64.whl",
    ],
)
def test_a_wheel_for_one_of_our_machines_is_locked(name: str) -> None:
    archive = file("pkg-1.0.tar.gz", "b" * 64)
    assert import_module("lock").choose([file(name, DIGEST), archive], "1.0") == {DIGEST}


@pytest.mark.parametrize(
    "name",
    [
        "pkg-1.0-cp310-cp310-manylinux_2_28_x86_64.whl",
        "pkg-1.0-cp311-cp311-win_amd64.whl",
        "pkg-1.0-cp311-cp311-musllinux_1_2_x86_64.whl",
        "pkg-1.0-cp311-cp311-macosx_11_0_arm64.whl",
        "pkg-1.0.1-py3-none-any.whl",
    ],
)
def test_any_other_file_is_not_and_the_source_archive_takes_its_place(name: str) -> None:
    archive = file("pkg-1.0.tar.gz", "b" * 64)
    assert import_module("lock").choose([file(name, DIGEST), archive], "1.0") == {"b" * 64}
    with pytest.raises(LookupError):
        import_module("lock").choose([file(name, DIGEST)], "1.0")


def test_a_version_without_digests_is_named(tmp_path: Path) -> None:
    for path in (FOLDER / "lock.py", FOLDER / "run.txt", FOLDER / "build.txt"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "locked").mkdir()
    for name in ("run.txt", "build.txt"):
        (tmp_path / "locked" / name).write_text((FOLDER / "locked" / name).read_text())
    (tmp_path / "run.txt").write_text((FOLDER / "run.txt").read_text() + "new-package==1.0\n")
    command = [sys.executable, str(tmp_path / "lock.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "new-package==1.0 has no digests" in done.stdout


def test_the_bill_of_materials_names_every_package_once() -> None:
    command = [sys.executable, str(FOLDER / "sbom.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    bom = json.loads(done.stdout)
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    refs = [component["bom-ref"] for component in bom["components"]]
    assert len(refs) == len(set(refs))
    lock = import_module("lock")
    for name, version in lock.pins(FOLDER / "run.txt"):
        assert f"pkg:pypi/{name}@{version}" in refs
    npm = {c["name"]: c for c in bom["components"] if c["bom-ref"].startswith("pkg:npm/")}
    declared = json.loads((FOLDER.parent / "console" / "package.json").read_text())
    assert {*declared["dependencies"], *declared["devDependencies"]} <= set(npm)
    assert {len(c["hashes"][0]["content"]) for c in npm.values()} == {128}
    for dependency in bom["dependencies"]:
        assert {dependency["ref"], *dependency["dependsOn"]} <= set(refs)


def test_an_advisory_on_what_runs_fails_the_audit_unless_it_was_judged(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text("server==1.0\n")
    (tmp_path / "dev.txt").write_text("linter==2.0\n")
    advisory = {"id": "GHSA-1", "aliases": ["CVE-1"], "fixed_in": ["1.1"]}
    audit = import_module("audit").audit

    def on(affected: str) -> Any:
        return lambda name, version: [advisory] if name == affected else []

    lines, code = audit(tmp_path, on("server"), set())
    assert code == 1
    assert lines[0] == "run.txt: server==1.0: CVE-1, GHSA-1, fixed in 1.1"
    assert audit(tmp_path, on("server"), {"CVE-1"})[1] == 0
    lines, code = audit(tmp_path, on("linter"), set())
    assert (code, lines[0][:8]) == (0, "dev.txt:")


def test_without_a_source_of_advisories_the_audit_says_so(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text("server==1.0\n")

    def unreachable(name: str, version: str) -> list[dict[str, Any]]:
        raise OSError("no route")

    (line,), code = import_module("audit").audit(tmp_path, unreachable, set())
    assert code == 0
    assert "NOT DONE" in line
