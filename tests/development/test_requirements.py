"""The requirements files name every installed package at the installed version."""

import re
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parents[2] / "requirements"


def pinned(name: str) -> dict[str, str]:
    """Versions by canonical name; a line that pins nothing is an error."""
    found: dict[str, str] = {}
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        if not line or line.startswith(("#", "-c ")):
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
        assert match, f"{name}.txt: {line!r} is not NAME==VERSION"
        found[canonicalize_name(match[1])] = str(match[2])
    return found


def test_no_package_is_pinned_in_two_files() -> None:
    """Except in bench.txt, one version stands in one place."""
    lists = [pinned(name) for name in ("run", "build", "dev", "research")]
    assert len(set().union(*lists)) == sum(map(len, lists))


def test_bench_pins_no_other_version_of_a_package() -> None:
    """Otherwise the bench's installation would change what the tests run with."""
    others = pinned("research") | pinned("dev") | pinned("build") | pinned("run")
    bench = pinned("bench")
    assert {n: v for n, v in bench.items() if others.get(n, v) != v} == {}


def test_every_installed_package_is_pinned_at_its_version() -> None:
    wanted = pinned("bench") | pinned("research") | pinned("dev") | pinned("build") | pinned("run")
    installed = {
        canonicalize_name(d.metadata["Name"]): d.version
        for d in metadata.distributions()
        if not d.metadata["Name"].startswith("sep-")
    }
    assert {n: v for n, v in installed.items() if wanted.get(n) != v} == {}


# Installed by `make test` and `make research`, not by `make run`.
NOT_RUN = {"sep-testing", "sep-data", "sep-research"}


def test_running_needs_no_development_package() -> None:
    """What the packages that run depend on is listed in run.txt."""
    run = pinned("run")
    needed = set()
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if not name.startswith("sep-") or name in NOT_RUN:
            continue
        for requirement in distribution.requires or []:
            found = re.match(r"[A-Za-z0-9._-]+", requirement)
            assert found
            needed.add(canonicalize_name(found[0]))
    assert {name for name in needed if not name.startswith("sep-")} <= set(run)
