"""A renderer of the Kubernetes base, for the features of kustomize that the base uses.

``test_kubernetes`` compares it with kustomize itself where that is installed.
"""

import copy
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

_SUPPORTED = {
    *("apiVersion", "kind", "namespace", "labels", "resources", "configMapGenerator", "images"),
}
_CLUSTER_SCOPED = {"Namespace"}


def render(folder: Path) -> list[Manifest]:
    """Every manifest of a base.

    Raises:
        ValueError: the base uses a feature that is not supported here.
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
    return [_transform(manifest, base, images) for manifest in manifests]


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
