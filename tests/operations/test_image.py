"""The image recipe: which layers a change rebuilds, and which third-party packages it installs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LIST = ROOT / "deploy" / "image" / "third_party.py"
STAGES = {
    stage.partition(" AS ")[2].splitlines()[0].strip() if " AS " in stage.splitlines()[0] else "":
    stage
    for stage in re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.M)[1:]
}  # fmt: skip
LIBRARIES = [
    ROOT / "protos",
    *sorted(
        p.parent for p in (ROOT / "libs").glob("*/pyproject.toml") if p.parent.name != "testing"
    ),
]


def copies(stage: str) -> set[str]:
    """What a stage copies, from the build context or from other stages."""
    lines = re.findall(r"^COPY (?:--from=\S+ )?(.+) \S+$", STAGES[stage], re.M)
    return {word for line in lines for word in line.split()}


def folders() -> dict[str, tuple[Path, ...]]:
    """The source folders of each image that compose.yaml builds, by the image's name."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    args = [service["build"]["args"] for service in services.values() if "build" in service]
    return {
        a["SERVICE"]: tuple(
            ROOT / folder
            for folder in (a.get("FOLDER", f"services/{a['SERVICE']}"), a.get("LIBRARY"))
            if folder
        )
        for a in args
    }


def pinned() -> dict[str, str]:
    lines = (ROOT / "requirements" / "run.txt").read_text().splitlines()
    found = [re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line) for line in lines]
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def test_no_source_is_in_the_layers_of_third_party_packages() -> None:
    assert copies("base") == {"requirements/run.txt", "requirements/locked"}
    assert copies("verified") == set()
    assert copies("shared-dependencies") == {"/lists/shared.txt"}
    assert copies("service-dependencies") == {"/lists/service.txt"}


def test_third_party_files_are_compared_with_their_digests_and_come_from_nowhere_else() -> None:
    for name, stage in STAGES.items():
        for command in re.findall(r"pip (?:download|wheel|install)[^&]*", stage):
            verified = "--require-hashes" in command or "--no-index" in command
            own = "--no-build-isolation" in command
            assert verified or own, (name, command)


def test_our_own_packages_are_installed_without_an_index() -> None:
    for stage in ("shared", "service"):
        for command in re.findall(r"pip (?:wheel|install)[^&]*", STAGES[stage]):
            assert "--no-deps" in command, command


def test_what_changes_least_is_copied_into_the_image_first() -> None:
    sources = re.findall(r"^COPY --from=(\S+)", STAGES[""], re.M)
    assert sources == [
        "shared-dependencies",
        "service-dependencies",
        "shared",
        "console",
        "service",
    ]


def test_only_the_image_of_the_stack_builds_the_console() -> None:
    """In the others its layer is an empty folder, whatever changes in the console."""
    (command,) = re.findall(r"^RUN (.+?)(?=\n\n|\Z)", STAGES["console"], re.M | re.S)
    made, _, conditional = command.partition("if test")
    assert made.replace("\\\n", "").split() == ["mkdir", "/opt/console", "&&"]
    assert '"${SERVICE}" = stack' in conditional
    assert "console/make.py" in conditional


@pytest.mark.parametrize("image", folders())
def test_the_lists_of_an_image_name_third_party_packages_at_pinned_versions(
    image: str, tmp_path: Path
) -> None:
    ours = (*folders()[image], *LIBRARIES)
    command: list[str | Path] = [sys.executable, LIST, *ours, "--out", tmp_path]
    subprocess.run(command, check=True, timeout=30)
    shared, service = (tmp_path / name for name in ("shared.txt", "service.txt"))
    lines = [*shared.read_text().splitlines(), *service.read_text().splitlines()]
    assert {"grpcio", "redis"} <= {Requirement(line).name for line in lines}
    for requirement in map(Requirement, lines):
        name = canonicalize_name(requirement.name)
        assert not name.startswith("sep-")
        assert requirement.specifier.contains(pinned()[name]), requirement


def test_a_package_of_this_tree_that_is_not_in_the_image_is_an_error(tmp_path: Path) -> None:
    folders = (ROOT / "services" / "guard", ROOT / "protos")
    command: list[str | Path] = [sys.executable, LIST, *folders, "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "sep-guard needs sep-fx, sep-kit" in done.stderr
