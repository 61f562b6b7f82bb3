#!/usr/bin/env python3
"""scripts/run from any directory, with a stub of cmake and all packages installed.

Usage: run_test.py REPOSITORY
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()

# Logs its arguments and directory; "builds" a program that prints its own path and arguments.
CMAKE = r"""#!/bin/bash
echo "$PWD: $*" >>"$STUB_LOG"
if [[ $1 == --preset ]]; then
  while [[ $1 != -B ]]; do shift; done
  known=$(cut -d = -f 2 "$2/CMakeCache.txt" 2>/dev/null)
  [[ ${known:-$2} == "$2" ]] || { echo "the cache was made in $known" >&2; exit 1; }
  echo "CMAKE_CACHEFILE_DIR:INTERNAL=$2" >"$2/CMakeCache.txt"
elif [[ $* == *"-- -n" ]]; then
  if [[ -e $2/keyvalue-cache ]]; then echo "ninja: no work to do."; else echo "[1/1] a step"; fi
else
  printf '#!/bin/bash\necho "$0 $*"\n' >"$2/keyvalue-cache"
  chmod +x "$2/keyvalue-cache"
fi
"""
DPKG_QUERY = """#!/bin/bash
echo "package ${!#}" >>"$STUB_LOG"
echo installed
"""


class Run(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name).resolve()
        self.checkout = self.directory / "checkout"
        shutil.copytree(REPOSITORY / "scripts", self.checkout / "scripts")
        self.log = self.directory / "log"
        stubs = self.directory / "stubs"
        stubs.mkdir()
        for name, text in (("cmake", CMAKE), ("dpkg-query", DPKG_QUERY)):
            (stubs / name).write_text(text)
            (stubs / name).chmod(0o755)
        self.environment = {"PATH": f"{stubs}:{os.environ['PATH']}", "STUB_LOG": str(self.log),
                            "HOME": str(self.directory / "home"), "TMPDIR": str(self.directory)}

    def run_script(self, script, **environment):
        """Its standard output and standard error."""
        done = subprocess.run([script, "--port", "0"], env={**self.environment, **environment}, cwd=self.directory,
                              text=True, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout, done.stderr

    def expect_run(self, script, **environment):
        output, _ = self.run_script(script, **environment)
        self.assertEqual(output, f"{self.checkout}/build/release/keyvalue-cache --port 0\n")
        for line in self.log.read_text().splitlines():
            if "--preset" in line:
                self.assertTrue(line.startswith(f"{self.checkout}: "), line)

    def test_runs_through_a_symbolic_link_to_the_script(self):
        link = self.directory / "start"
        link.symlink_to(self.checkout / "scripts/run")
        self.expect_run(link)

    def test_runs_with_CDPATH_exported(self):
        (self.directory / "elsewhere/scripts").mkdir(parents=True)
        self.expect_run("checkout/scripts/run", CDPATH=f"{self.directory}/elsewhere:{self.directory}:{self.checkout}")

    def test_uses_the_same_path_of_the_checkout_through_a_linked_directory(self):
        (self.directory / "linked").symlink_to(self.checkout)
        self.expect_run(self.checkout / "scripts/run")
        self.expect_run(self.directory / "linked/scripts/run")

    def test_configures_anew_after_the_checkout_was_moved_with_its_build(self):
        self.expect_run(self.checkout / "scripts/run")
        self.checkout = self.checkout.rename(self.directory / "moved")
        self.log.unlink()
        self.expect_run(self.checkout / "scripts/run")

    def test_announces_a_build_only_if_it_builds(self):
        _, first = self.run_script(self.checkout / "scripts/run")
        self.assertIn("the first time takes", first)
        _, second = self.run_script(self.checkout / "scripts/run")
        self.assertNotIn("building", second)
        (self.checkout / "build/release/keyvalue-cache").unlink()
        _, third = self.run_script(self.checkout / "scripts/run")
        self.assertIn("building", third)
        self.assertNotIn("first time", third)

    def test_builds_no_tests_and_needs_none_of_their_packages(self):
        self.run_script(self.checkout / "scripts/run")
        log = self.log.read_text()
        self.assertIn("-DKVCACHE_BUILD_TESTS=OFF", log)
        self.assertIn("package g++\n", log)
        for package in ("libgtest-dev", "libgmock-dev", "ccache", "prometheus"):
            self.assertNotIn(f"package {package}\n", log)

    def test_leaves_a_build_with_tests_unchanged(self):
        build = self.checkout / "build/release"
        build.mkdir(parents=True)
        (build / "CMakeCache.txt").touch()
        self.run_script(self.checkout / "scripts/run")
        self.assertNotIn("KVCACHE_BUILD_TESTS", self.log.read_text())

    def test_builds_in_the_cache_of_the_user_if_the_checkout_is_read_only(self):
        (self.checkout / "build").touch()  # no directory can be created there, not even by root
        cache = self.directory / "cache"
        output, _ = self.run_script(self.checkout / "scripts/run", XDG_CACHE_HOME=str(cache))
        self.assertTrue(output.startswith(f"{cache}/keyvalue-cache/"), output)

    def test_reports_in_one_line_that_no_directory_is_writable(self):
        (self.checkout / "build").touch()
        (self.directory / "full").touch()
        done = subprocess.run([self.checkout / "scripts/run"], text=True, capture_output=True, timeout=60, check=False,
                              env={**self.environment, "XDG_CACHE_HOME": str(self.directory / "full")})
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"\Aerror: cannot build: .* can be written to; set XDG_CACHE_HOME .*\n\Z")


if __name__ == "__main__":
    unittest.main()
