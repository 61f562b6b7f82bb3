#!/usr/bin/env python3
"""The linked program has the hardening that SECURITY.md promises.

    hardening_test.py KEYVALUE_CACHE

Needs readelf (binutils).
"""

import os
import pathlib
import platform
import re
import subprocess
import sys
import unittest


class Hardening(unittest.TestCase):
    program = ""  # set by main

    def readelf(self, *options):
        return subprocess.run(["readelf", "-W", *options, self.program], check=True, text=True,
                              capture_output=True, env={**os.environ, "LC_ALL": "C"}).stdout

    def segments(self):
        """Type and permissions of each, such as ("LOAD", "R E")."""
        found = re.findall(r"^ +([A-Z_]+) +0x.* ([R ][W ][E ]) +0x[0-9a-f]+$",
                           self.readelf("-l"), re.MULTILINE)
        self.assertIn("LOAD", [kind for kind, _ in found])
        return found

    def imported(self):
        return re.findall(r" UND ([^@ \n]+)", self.readelf("--dyn-syms"))

    def test_is_position_independent(self):
        self.assertRegex(self.readelf("-h"), r"Type:\s+DYN")
        self.assertRegex(self.readelf("-d"), r"FLAGS_1\).*\bPIE\b")

    def test_binds_all_symbols_at_start_and_has_a_read_only_table_of_them(self):
        self.assertRegex(self.readelf("-d"), r"FLAGS_1\).*\bNOW\b")
        self.assertIn("GNU_RELRO", [kind for kind, _ in self.segments()])

    def test_has_a_non_executable_stack(self):
        self.assertEqual([flags for kind, flags in self.segments() if kind == "GNU_STACK"], ["RW "])

    def test_has_no_writable_and_executable_memory(self):
        for kind, flags in self.segments():
            self.assertFalse("W" in flags and "E" in flags, (kind, flags))
        self.assertNotIn("TEXTREL", self.readelf("-d"))

    def test_loads_only_system_libraries(self):
        self.assertNotRegex(self.readelf("-d"), r"\((RPATH|RUNPATH)\)")

    def test_uses_the_stack_protector(self):
        self.assertIn("__stack_chk_fail", self.imported())

    def test_uses_the_checked_functions_of_fortify_source(self):
        self.assertTrue([name for name in self.imported()
                         if name.startswith("__") and name.endswith("_chk")])

    @unittest.skipUnless(platform.machine() in ("x86_64", "AMD64"), "endbr64 exists on x86-64 only")
    def test_marks_the_targets_of_indirect_jumps(self):
        endbr64 = b"\xf3\x0f\x1e\xfa"
        self.assertGreater(pathlib.Path(self.program).read_bytes().count(endbr64), 1000)


if __name__ == "__main__":
    Hardening.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
