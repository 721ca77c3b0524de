"""Make every committed file that is generated: ``python generate.py [--check]``.

With ``--check`` nothing is written: the files that differ are named, and the exit code is 1 if
there are any. Code generated from ``protos`` is never committed; ``protos/generate.py`` makes it.
"""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import yaml
from sep_kit.settings import names, reference
from sep_local import systemd

ROOT = Path(__file__).parent


def outputs() -> Iterator[tuple[Path, str]]:
    """Each generated file with its content."""
    yield ROOT / "docs" / "settings.md", reference.render()
    yield Path(names.__file__).with_name("known_settings.json"), names.render()
    client = _module("clients/python/generate.py")
    yield client.MODELS, client.models()
    dashboards = _module("deploy/grafana/make.py")
    for dashboard in dashboards.DASHBOARDS:
        path = ROOT / "deploy" / "grafana" / "dashboards" / f"{dashboard.uid}.json"
        yield path, json.dumps(dashboards.render(dashboard), indent=1) + "\n"
    # For a checkout in /opt/sep; `sep-stack install` writes the unit of the checkout that it is in.
    units = ROOT / "deploy" / "systemd"
    yield units / systemd.UNIT_NAME, systemd.unit(Path("/opt/sep"))
    yield units / "journald@sep.conf", systemd.JOURNAL
    for name, text in _module("deploy/alertmanager/make.py").documents().items():
        yield ROOT / "deploy" / "alertmanager" / name, text
    scenarios = _module("deploy/prometheus/tests/make.py")
    for name, document in scenarios.documents().items():
        text = yaml.safe_dump(document, sort_keys=False, width=100)
        yield ROOT / "deploy" / "prometheus" / "tests" / name, text


def main(arguments: list[str]) -> int:
    """Write the files, or compare them; the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: generate.py [--check]", file=sys.stderr)
        return 2
    differing = [
        (path, text)
        for path, text in outputs()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in differing:
        print(f"{path.relative_to(ROOT)} {'differs' if arguments else 'written'}")
        if not arguments:
            path.write_text(text, encoding="utf-8")
    if arguments and differing:
        print("run `make generate`", file=sys.stderr)
        return 1
    return 0


def _module(path: str) -> ModuleType:
    """A program of this tree that is not part of a package."""
    name = path.removesuffix(".py").replace("/", "_")
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
