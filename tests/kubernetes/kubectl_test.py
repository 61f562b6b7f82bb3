#!/usr/bin/env python3
"""kubectl assembles every kustomization, to the objects that the other tests check.

    kubectl_test.py

Needs kubectl with kustomize 4 or later; it talks to no cluster. Ends with 77 where it is missing.
"""

import json
import re
import shutil
import subprocess
import sys
import unittest

import yaml

from manifests import FOLDERS, assemble

SKIPPED = 77
HASHED = re.compile(r"-[0-9a-z]{10}$")


def unusable():
    if shutil.which("kubectl") is None:
        return "kubectl is not installed"
    version = subprocess.run(["kubectl", "version", "--client", "--output=json"], capture_output=True, text=True)
    if version.returncode != 0:
        return f"kubectl does not run: {version.stderr}"
    kustomize = json.loads(version.stdout).get("kustomizeVersion", "none")
    if not re.match(r"v([4-9]|\d\d)\.", kustomize):
        return f"kubectl contains kustomize {kustomize}; version 4 is required"
    return ""


def render(folder):
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return list(yaml.safe_load_all(done.stdout))


def without_hashes(objects):
    """The objects with the names that the files give to generated objects."""
    names = {one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"}
    plain = {name: HASHED.sub("", name) for name in names}

    def renamed(value):
        if isinstance(value, dict):
            return {name: renamed(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [renamed(inner) for inner in value]
        return plain.get(value, value) if isinstance(value, str) else value

    return renamed(objects)


def by_name(objects):
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


class Kubectl(unittest.TestCase):
    maxDiff = None

    def test_every_kustomization_is_assembled_to_the_objects_under_test(self):
        for name, folder in FOLDERS.items():
            with self.subTest(name):
                self.assertEqual(by_name(without_hashes(render(folder))), by_name(assemble(folder)))

    def test_a_change_of_the_configuration_replaces_the_pods_that_read_it(self):
        objects = render(FOLDERS["cluster"])
        [proxy] = [one for one in objects if one["kind"] == "Deployment"]
        for one in objects:
            if one["kind"] == "ConfigMap":
                with self.subTest(one["metadata"]["name"]):
                    self.assertRegex(one["metadata"]["name"], HASHED)
                    self.assertIn(one["metadata"]["name"], json.dumps(proxy["spec"]["template"]))


if __name__ == "__main__":
    if missing := unusable():
        print(f"SKIPPED: {missing}")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
