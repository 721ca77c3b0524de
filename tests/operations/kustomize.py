"""A renderer of the Kubernetes base, for the features of kustomize that the base uses.

``test_kubernetes`` compares it with kustomize itself where that is installed.
"""

import copy
import re
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

_SUPPORTED = {
    *("apiVersion", "kind", "namespace", "labels", "resources", "configMapGenerator", "images"),
}
_CLUSTER_SCOPED = {"Namespace"}


def render(folder: Path, *components: Path) -> list[Manifest]:
    """Every manifest of a base, changed by components.

    Raises:
        ValueError: the base or a component uses a feature that is not supported here.
    """
    base = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := set(base) - _SUPPORTED:
        raise ValueError(f"not supported by this renderer: {', '.join(sorted(unknown))}")
    manifests = [
        manifest
        for name in base["resources"]
        for manifest in yaml.safe_load_all((folder / name).read_text())
    ]
    manifests += [_config_map(folder, spec) for spec in base.get("configMapGenerator", [])]
    images = {image["name"]: image for image in base.get("images", [])}
    rendered = [_transform(manifest, base, images) for manifest in manifests]
    for component in components:
        _patch(rendered, component)
    return rendered


def containers_of(manifest: Manifest) -> list[Manifest]:
    """Every container of a workload, init containers first."""
    pod = manifest["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def _config_map(folder: Path, spec: Manifest) -> Manifest:
    data = {}
    for name in spec["envs"]:
        for line in (folder / name).read_text().splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.partition("=")
                data[key] = value
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": spec["name"]},
        "data": data,
    }


def _patch(manifests: list[Manifest], component: Path) -> None:
    """Apply a component's patches, each of which must fit a manifest."""
    content = yaml.safe_load((component / "kustomization.yaml").read_text())
    if unknown := set(content) - {"apiVersion", "kind", "patches"}:
        raise ValueError(f"not supported by this renderer: {', '.join(sorted(unknown))}")
    for entry in content["patches"]:
        target = entry["target"]
        found = [
            manifest
            for manifest in manifests
            if manifest["kind"] == target["kind"]
            and re.fullmatch(target["name"], manifest["metadata"]["name"])
        ]
        if not found:
            raise ValueError(f"no manifest fits {target}")
        text = entry["patch"] if "patch" in entry else (component / entry["path"]).read_text()
        for manifest in found:
            for operation in yaml.safe_load(text):
                _operate(manifest, **operation)


def _operate(manifest: Manifest, op: str, path: str, value: Any) -> None:
    """One operation of RFC 6902: ``add``, or ``replace`` of what is there."""
    *folders, last = path.strip("/").split("/")
    place: Any = manifest
    for name in folders:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if op == "replace" and isinstance(place, dict) and last in place:
        place[last] = copy.deepcopy(value)
    elif op == "add" and isinstance(place, list) and last == "-":
        place.append(copy.deepcopy(value))
    elif op == "add" and isinstance(place, dict):
        place[last] = copy.deepcopy(value)
    else:
        raise ValueError(f"not supported by this renderer: {op} {path}")


def _transform(manifest: Manifest, base: Manifest, images: dict[str, Manifest]) -> Manifest:
    """The manifest with namespace, labels and image tags set."""
    result = copy.deepcopy(manifest)
    if result["kind"] not in _CLUSTER_SCOPED:
        result["metadata"]["namespace"] = base["namespace"]
    for entry in base.get("labels", []):
        result["metadata"].setdefault("labels", {}).update(entry["pairs"])
        if entry.get("includeTemplates") and result["kind"] == "Deployment":
            result["spec"]["template"]["metadata"]["labels"].update(entry["pairs"])
    if result["kind"] == "Deployment":
        for container in containers_of(result):
            image = images[container["image"]]
            container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
    return result
