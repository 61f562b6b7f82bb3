#!/usr/bin/env python3
"""All manifests conform to the schemas of the Kubernetes API, and a misspelt field does not.

    schemas_test.py PACKAGES_DIRECTORY

Installs what package.json names into PACKAGES_DIRECTORY, by npm, and runs validate.mjs. Ends with 77 where node, npm or
npm's registry is missing; with REQUIRED_BROWSER in the environment, as in CI, it fails.
"""

import copy
import json
import pathlib
import subprocess
import sys
import unittest

import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import npm  # noqa: E402
from manifests import FOLDERS, ROOT, assemble  # noqa: E402

# Maps whose keys are free.
FREE = {"labels", "matchLabels", "selector", "annotations", "requests", "limits", "data"}


def paths_of_fields(value, path=()):
    """The paths of all fields with a name that the API prescribes."""
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths_of_fields(inner, (*path, index))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            if name not in FREE or name == "selector" and "matchLabels" in inner:
                yield from paths_of_fields(inner, (*path, name))


def changed(one, path, change):
    """A copy of the object in which change(parent, last step of the path) was called."""
    mutant = copy.deepcopy(one)
    parent = mutant
    for step in path[:-1]:
        parent = parent[step]
    change(parent, path[-1])
    return mutant


def misspell(parent, name):
    parent[f"{name}x"] = parent.pop(name)


class Schemas(unittest.TestCase):
    packages = pathlib.Path()  # set by main

    def faults(self, objects):
        done = subprocess.run(["node", str(HERE / "validate.mjs"), str(self.packages / "node_modules")],
                              input=json.dumps(objects), text=True, capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        faults = json.loads(done.stdout)
        self.assertEqual(len(faults), len(objects))
        return faults

    def setUp(self):
        self.objects = [one for folder in FOLDERS.values() for one in assemble(folder)]

    def test_every_manifest_conforms(self):
        for one, faults in zip(self.objects, self.faults(self.objects)):
            with self.subTest(kind=one["kind"], name=one["metadata"]["name"]):
                self.assertEqual(faults, [])

    def test_every_file_belongs_to_a_kustomization(self):
        named = {(one["kind"], one["metadata"]["name"]) for one in self.objects}
        for path in ROOT.rglob("*.yaml"):
            if path.name != "kustomization.yaml":
                for one in yaml.safe_load_all(path.read_text()):
                    with self.subTest(path.name):
                        self.assertIn((one["kind"], one["metadata"]["name"]), named)

    def test_each_misspelt_field_is_refused(self):
        mutants, names = [], []
        for one in self.objects:
            for path in paths_of_fields(one):
                mutants.append(changed(one, path, misspell))
                names.append((one["kind"], one["metadata"]["name"], path))
        self.assertIn("readinessProbe", [path[-1] for _, _, path in names])
        accepted = [name for name, faults in zip(names, self.faults(mutants)) if not faults]
        self.assertEqual(accepted, [])

    def test_values_of_a_wrong_type_or_kind_are_refused(self):
        [node] = [one for one in self.objects if one["kind"] == "StatefulSet" and one["metadata"]["name"] == "cache"]
        container = ("spec", "template", "spec", "containers", 0)
        wrong = {
            ("spec", "replicas"): "three",
            ("apiVersion",): "apps/v2",
            ("kind",): "StatefullSet",
            ("spec", "podManagementPolicy"): ["Parallel"],
            (*container, "ports", 0, "containerPort"): "http",
            (*container, "resources", "limits", "memory"): "1 Gigabyte",
            (*container, "imagePullPolicy"): "Sometimes",
            (*container, "securityContext", "readOnlyRootFilesystem"): "yes",
        }
        mutants = [changed(node, path, lambda parent, name, value=value: parent.update({name: value}))
                   for path, value in wrong.items()]
        for path, faults in zip(wrong, self.faults(mutants)):
            with self.subTest(path):
                self.assertNotEqual(faults, [])


if __name__ == "__main__":
    Schemas.packages = pathlib.Path(sys.argv.pop(1))
    if fault := npm.missing() or npm.install(HERE, Schemas.packages):
        npm.skip(fault)
    unittest.main(verbosity=2)
