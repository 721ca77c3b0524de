"""What kustomize makes of the base: as much of it as the base uses, and an error for the rest."""

import copy
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

_KNOWN = {
    *("apiVersion", "kind", "namespace", "labels", "resources", "configMapGenerator", "images"),
}
_CLUSTER_WIDE = {"Namespace"}


def render(folder: Path) -> list[Manifest]:
    """Every manifest of a base.

    Raises:
        ValueError: the base uses what this does not know.
    """
    base = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := set(base) - _KNOWN:
        raise ValueError(f"unknown to this renderer: {', '.join(sorted(unknown))}")
    manifests = [
        manifest
        for name in base["resources"]
        for manifest in yaml.safe_load_all((folder / name).read_text())
    ]
    manifests += [_config_map(folder, made) for made in base.get("configMapGenerator", [])]
    images = {image["name"]: image for image in base.get("images", [])}
    return [_finished(manifest, base, images) for manifest in manifests]


def containers_of(manifest: Manifest) -> list[Manifest]:
    """Every container of a workload, those that only prepare it too."""
    pod = manifest["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def _config_map(folder: Path, made: Manifest) -> Manifest:
    data = {}
    for name in made["envs"]:
        for line in (folder / name).read_text().splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.partition("=")
                data[key] = value
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": made["name"]},
        "data": data,
    }


def _finished(manifest: Manifest, base: Manifest, images: dict[str, Manifest]) -> Manifest:
    done = copy.deepcopy(manifest)
    if done["kind"] not in _CLUSTER_WIDE:
        done["metadata"]["namespace"] = base["namespace"]
    for entry in base.get("labels", []):
        done["metadata"].setdefault("labels", {}).update(entry["pairs"])
        if entry.get("includeTemplates") and done["kind"] == "Deployment":
            done["spec"]["template"]["metadata"]["labels"].update(entry["pairs"])
    if done["kind"] == "Deployment":
        for container in containers_of(done):
            image = images[container["image"]]
            container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
    return done
