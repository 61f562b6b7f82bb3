"""The manifests of docker/kubernetes as objects, assembled as `kubectl kustomize` does.

Only the features of kustomize that the manifests use are implemented; another one is refused. kubectl_test.py verifies
that kubectl assembles the same objects. One difference remains: generated names carry no hash.
"""

import json
import pathlib

import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ROOT = REPOSITORY / "docker/kubernetes"
FOLDERS = {"cluster": ROOT, "snapshot": ROOT / "snapshot", "monitoring": ROOT / "monitoring"}
HANDLED = {"apiVersion", "kind", "resources", "namespace", "images", "configMapGenerator"}


def assemble(folder):
    """All objects of the kustomization in the folder.

    REQUIRES: resources are files below the folder, or folders; kustomize refuses files outside.
    """
    settings = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := set(settings) - HANDLED:
        raise ValueError(f"{folder}: {sorted(unknown)} is not implemented here")
    objects = []
    for name in settings.get("resources", []):
        path = (folder / name).resolve()
        if path.is_dir():
            objects += assemble(path)
        else:
            path.relative_to(folder)
            objects += [without_aliases(one) for one in yaml.safe_load_all(path.read_text()) if one]
    objects += [config_map(folder, generator) for generator in settings.get("configMapGenerator", [])]
    for one in objects:
        if one["kind"] != "Namespace" and "namespace" in settings:
            one["metadata"]["namespace"] = settings["namespace"]
        for container in pod_of(one).get("containers", []):
            container["image"] = image_of(container["image"], settings.get("images", []))
    return objects


def without_aliases(one):
    """A copy in which every part exists for itself, where YAML's aliases share parts."""
    return json.loads(json.dumps(one))


def config_map(folder, generator):
    if unknown := set(generator) - {"name", "files"}:
        raise ValueError(f"{folder}: {sorted(unknown)} is not implemented here")
    data = {}
    for name in generator["files"]:
        path = (folder / name).resolve()
        path.relative_to(folder)
        data[path.name] = path.read_text()
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}


def image_of(image, replacements):
    for replacement in replacements:
        if image == replacement["name"]:
            return f"{replacement['newName']}:{replacement['newTag']}"
    return image


def pod_of(one):
    """The pod specification of a workload; empty for other objects."""
    return one.get("spec", {}).get("template", {}).get("spec", {})


def workloads(objects):
    return [one for one in objects if pod_of(one)]


def of_kind(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def the_container(workload):
    """REQUIRES: the workload has one container."""
    [container] = pod_of(workload)["containers"]
    return container


def port_of(container, port):
    """The number of a port that is given by name or by number."""
    if isinstance(port, int):
        return port
    return next(one["containerPort"] for one in container["ports"] if one["name"] == port)


def probes_of(container):
    return {name: container[name] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
