#!/usr/bin/env python3
"""ccache keeps its results in the cache, as the README shows it.

    ccache_test.py KEYVALUE_CACHE SOURCE_DIRECTORY

Compiles src/cache twice, with an empty local cache each time: the second time, every result comes from the
cache. Needs Debian's package ccache.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import daemon  # noqa: E402

# What costs time and is not the point: optimisation.
COMPILER = ["ccache", "c++", "-std=c++20", "-O0", "-c"]


class Ccache(unittest.TestCase):
    program = ""  # both are set by main
    source = pathlib.Path()

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.daemon = self.enterContext(daemon(self.program, self.folder / "daemon.log", "--max-value-bytes", "64M"))
        self.environment = {**os.environ, "CCACHE_DIR": str(self.folder / "local"), "CCACHE_SLOPPINESS": "",
                            "CCACHE_REMOTE_STORAGE": f"http://127.0.0.1:{self.daemon.port}/kv"}
        for name in ("CCACHE_DISABLE", "CCACHE_READONLY", "CCACHE_CONFIGPATH"):
            self.environment.pop(name, None)

    def compile_all(self):
        """Compiles with an empty local cache; returns the objects and ccache's counts."""
        shutil.rmtree(self.folder / "local", ignore_errors=True)
        objects = {}
        for unit in sorted((self.source / "src/cache").glob("*.cpp")):
            made = self.folder / f"{unit.stem}.o"
            made.unlink(missing_ok=True)
            subprocess.run([*COMPILER, str(unit), "-o", str(made), f"-I{self.source / 'src'}",
                            f"-I{self.source / 'include'}"], env=self.environment, check=True)
            objects[unit.name] = made.read_bytes()
        text = subprocess.run(["ccache", "--print-stats"], env=self.environment, check=True,
                              capture_output=True, text=True).stdout
        counts = {name: int(count) for name, count in (line.split("\t") for line in text.splitlines())}
        return objects, counts

    def test_the_second_build_takes_every_result_from_the_cache(self):
        built, first = self.compile_all()
        self.assertGreater(len(built), 10)
        self.assertEqual(first["cache_miss"], len(built))
        self.assertEqual(first.get("remote_storage_error", 0), 0)
        again, second = self.compile_all()
        self.assertEqual(again, built)
        self.assertEqual(second["cache_miss"], 0)
        self.assertEqual(second["direct_cache_hit"] + second["preprocessed_cache_hit"], len(built))
        self.assertEqual(second["remote_storage_read_hit"], 2 * len(built))  # a manifest and a result each
        self.assertEqual(second.get("remote_storage_read_miss", 0), 0)
        self.assertEqual(second.get("remote_storage_error", 0), 0)


if __name__ == "__main__":
    Ccache.source = pathlib.Path(sys.argv.pop(2))
    Ccache.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
