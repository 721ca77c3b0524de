"""Compare every pinned version with the advisories that the package index publishes.

Prints each advisory with the versions that fix it. Exits with 1 if one concerns what runs or builds
the stack (run.txt, build.txt) and is not listed in ``requirements/accepted_advisories.txt`` (an
identifier and the reason a line). Where the index publishes none, as some mirrors do, or can't be
reached, that is said in capitals, and the exit code is 0: no judgement, no failure.
"""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lock

ACCEPTED = Path(__file__).with_name("accepted_advisories.txt")
MUST_BE_CLEAN = ("run.txt", "build.txt")
Fetch = Callable[[str, str], list[dict[str, Any]]]
"""The advisories of a package's version; raises OSError where there is no source of them."""


def fetch(name: str, version: str) -> list[dict[str, Any]]:
    """The advisories of one version, from the index that pip uses."""
    root = lock.index_url().rstrip("/").removesuffix("/simple")
    url = f"{root}/pypi/{name}/{version}/json"
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310  pip's own index
        found: list[dict[str, Any]] = json.load(response)["vulnerabilities"]
    return [advisory for advisory in found if not advisory.get("withdrawn")]


def accepted() -> set[str]:
    """Identifiers that were judged not to concern this stack."""
    lines = ACCEPTED.read_text().splitlines()
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


def audit(folder: Path, fetch: Fetch, allowed: set[str]) -> tuple[list[str], int]:
    """What to print, and the exit code."""
    said, code, known = [], 0, set[tuple[str, str]]()
    for source in sorted(folder.glob("*.txt"), key=lambda p: p.name not in MUST_BE_CLEAN):
        for name, version in lock.pins(source):
            if (name, version) in known:
                continue
            known.add((name, version))
            try:
                advisories = fetch(name, version)
            except (OSError, ValueError, KeyError) as error:
                said.append(
                    f"audit: NOT DONE: NO ADVISORIES FOR {name}=={version} FROM THE PACKAGE INDEX"
                    f" ({error!r})"
                )
                return said, code
            for advisory in advisories:
                names = {advisory["id"], *advisory.get("aliases", ())}
                fixed = ", ".join(advisory.get("fixed_in", ())) or "no version yet"
                judged = bool(names & allowed)
                if source.name in MUST_BE_CLEAN and not judged:
                    code = 1
                said.append(
                    f"{source.name}: {name}=={version}: {', '.join(sorted(names))},"
                    f" fixed in {fixed}{' (accepted)' if judged else ''}"
                )
    said.append(f"audit: {len(known)} versions compared with the index's advisories")
    return said, code


if __name__ == "__main__":
    lines, exit_code = audit(lock.FOLDER, fetch, accepted())
    print("\n".join(lines))
    sys.exit(exit_code)
