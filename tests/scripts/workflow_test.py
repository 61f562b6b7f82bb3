#!/usr/bin/env python3
""".github/workflows/ci.yml is well-formed, and its job memory-limits cannot pass by skipping.

Usage: workflow_test.py REPOSITORY
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

import yaml

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
REQUIRED = "REQUIRED_CGROUPS"


class Workflow(unittest.TestCase):
    def setUp(self):
        self.jobs = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())["jobs"]

    def steps(self):
        for name, job in self.jobs.items():
            for number, step in enumerate(job["steps"]):
                yield f"{name}, step {number}", step

    def test_every_job_names_its_runner_and_timeout(self):
        for name, job in self.jobs.items():
            with self.subTest(name):
                self.assertRegex(job["runs-on"], r"^ubuntu-")
                self.assertGreater(job["timeout-minutes"], 0)
                self.assertTrue(job["steps"])

    def test_every_step_uses_an_action_or_runs_a_valid_script(self):
        for name, step in self.steps():
            with self.subTest(name):
                self.assertEqual(("uses" in step) + ("run" in step), 1)
                if "run" in step:
                    script = re.sub(r"\$\{\{.*?\}\}", "x", step["run"])
                    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_every_script_of_the_repository_that_a_step_runs_exists(self):
        for name, step in self.steps():
            for script in re.findall(r"^(\.\S+/\S+)", step.get("run", ""), re.MULTILINE):
                with self.subTest(name):
                    self.assertTrue(os.access(REPOSITORY / script, os.X_OK), script)

    def test_no_failure_is_ignored(self):
        for name, part in [*self.jobs.items(), *self.steps()]:
            with self.subTest(name):
                self.assertNotIn("continue-on-error", part)
                self.assertNotIn("if", part)
                self.assertNotRegex(part.get("run", ""), r"\|\|\s*(true|:)|set \+e")


class MemoryLimits(unittest.TestCase):
    def setUp(self):
        self.job = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())["jobs"]["memory-limits"]
        self.scripts = [step["run"] for step in self.job["steps"] if "run" in step]

    # An unprivileged container cannot create memory cgroups; the virtual machine can.
    def test_runs_on_the_machine_not_in_a_container(self):
        self.assertNotIn("container", self.job)
        self.assertRegex(self.job["runs-on"], r"^ubuntu-\d")  # a release with cgroup v2

    # With v1, pressure_v2.* would be skipped.
    def test_requires_memory_groups_of_version_2(self):
        self.assertEqual(self.job["env"][REQUIRED], "v2")
        for step in self.job["steps"]:
            self.assertNotIn(REQUIRED, step.get("env", {}))

    def test_builds_and_runs_the_pressure_tests_as_root_with_the_requirement(self):
        build, run = self.scripts
        self.assertRegex(build, r"-DKVCACHE_BUILD_TESTS=ON\b.*-- pressure_tests\b")
        command = shlex.split(run.replace("\\\n", " ").splitlines()[-1])
        self.assertEqual(command[:3], ["sudo", f"--preserve-env={REQUIRED}", "ctest"])
        self.assertEqual(command[command.index("--preset") + 1], "release")
        self.assertEqual(command[command.index("-L") + 1], "pressure")
        self.assertIn("--no-tests=error", command)

    def test_selects_a_label_that_the_pressure_tests_have(self):
        self.assertRegex((REPOSITORY / "tests/pressure/CMakeLists.txt").read_text(), r"\bLABELS pressure\b")


if __name__ == "__main__":
    unittest.main()
