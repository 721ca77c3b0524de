"""Print what is installed as a software bill of materials: CycloneDX 1.6, as JSON.

Every package of ``.venv`` with its version, licence, and the digests of the files that
``requirements/locked`` allows, and every npm package that the console is built from. Packages of
this tree are components without digests. The same environment gives the same document, but for its
serial number and time.
"""

import argparse
import base64
import json
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import lock

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]


def components(installed: list[metadata.Distribution]) -> Iterator[Json]:
    """A component for each distribution, by name."""
    known: lock.Digests = {}
    for path in sorted(lock.LOCKED.glob("*.txt")):
        known |= lock.locked(path)
    for distribution in sorted(installed, key=lambda d: lock.canonical(d.metadata["Name"])):
        name, version = lock.canonical(distribution.metadata["Name"]), distribution.version
        component: Json = {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
        }
        if not name.startswith("sep-"):
            component["purl"] = component["bom-ref"]
        # CycloneDX lists one file's digests as hashes; these are of alternatives, one a machine.
        if digests := known.get((name, version)):
            component["properties"] = [
                {"name": "sep:allowed-sha256", "value": digest} for digest in digests
            ]
        if text := licence(distribution):
            component["licenses"] = [{"license": {"name": text}}]
        yield component


def npm_components(lock_file: Path) -> Iterator[Json]:
    """A component for each package of the console's lock file, with the digest of its archive."""
    packages: dict[str, Json] = json.loads(lock_file.read_text())["packages"]
    for path, package in sorted(packages.items()):
        if not path:
            continue  # the console itself
        name, version = path.rpartition("node_modules/")[2], package["version"]
        algorithm, _, digest = package["integrity"].partition("-")
        reference = f"pkg:npm/{name.replace('@', '%40')}@{version}"
        yield {
            "type": "library",
            "bom-ref": reference,
            "name": name,
            "version": version,
            "scope": "excluded" if package.get("dev") else "required",
            "purl": reference,
            "hashes": [
                {
                    "alg": algorithm.upper().replace("SHA", "SHA-"),
                    "content": base64.b64decode(digest).hex(),
                }
            ],
            "licenses": [{"license": {"name": package.get("license", "not declared")}}],
        }


def licence(distribution: metadata.Distribution) -> str:
    """The licence that a distribution declares, in one line; empty if none."""
    found = distribution.metadata
    for name in ("License-Expression", "License"):
        if name in found and found[name] and "\n" not in found[name]:
            return found[name]
    classifiers = found.get_all("Classifier") or []
    return next((c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License ::")), "")


def dependencies(installed: list[metadata.Distribution]) -> Iterator[Json]:
    """What each component needs of the others."""
    versions = {lock.canonical(d.metadata["Name"]): d.version for d in installed}
    for name, distribution in sorted((lock.canonical(d.metadata["Name"]), d) for d in installed):
        needed = {
            lock.canonical(re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0])
            for need in distribution.requires or ()
            if "extra ==" not in need
        }
        on = sorted(f"pkg:pypi/{n}@{versions[n]}" for n in needed if n in versions)
        yield {"ref": f"pkg:pypi/{name}@{distribution.version}", "dependsOn": on}


def document() -> Json:
    """The bill of materials of the environment that runs this."""
    installed = list(metadata.distributions())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),  # noqa: TID251  its date
            "component": {
                "type": "application",
                "name": "sep",
                "version": (ROOT / "VERSION").read_text().strip(),
            },
        },
        "components": [
            *components(installed),
            *npm_components(ROOT / "console" / "package-lock.json"),
        ],
        "dependencies": list(dependencies(installed)),
    }


def main() -> int:
    """Write the document; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, metavar="FILE", help="standard output without it")
    options = parser.parse_args()
    text = json.dumps(document(), indent=1) + "\n"
    if options.out:
        options.out.write_text(text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
