"""A program outside of this project can use kvcache::kvcache, installed or as a subdirectory.

The program is the example at the top of include/kvcache/cache.hpp, to the letter. Each project is configured, built and
run in a temporary directory.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

PROJECT = """\
cmake_minimum_required(VERSION 3.24)
project(outside LANGUAGES CXX)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
{find}
add_executable(example example.cpp {units})
target_link_libraries(example PRIVATE kvcache::kvcache)
foreach(property COMPILE_OPTIONS COMPILE_DEFINITIONS LINK_OPTIONS SYSTEM_INCLUDE_DIRECTORIES LINK_LIBRARIES)
  get_target_property(value kvcache::kvcache INTERFACE_${{property}})
  file(APPEND ${{CMAKE_BINARY_DIR}}/interface.txt "${{property}}=${{value}}\\n")
endforeach()
"""
STRICT = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"


def example_in(header: pathlib.Path) -> str:
    """The indented code of the header's opening comment."""
    opening = header.read_text().split("#pragma once")[0]
    code = re.search(r"^//   #include.*?^//   }$", opening, re.MULTILINE | re.DOTALL)
    assert code, f"{header} opens without an example"
    return "".join(line.removeprefix("//").removeprefix("   ") + "\n" for line in code[0].splitlines())


class OutsideProjects(unittest.TestCase):
    settings: argparse.Namespace

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.source = pathlib.Path(self.settings.source)

    def run_command(self, *command: str | pathlib.Path, **more) -> str:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)
        self.assertEqual(done.returncode, 0, f"{shlex.join(str(w) for w in command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def build_and_run(self, find: str, *options: str, flags: str = "", units: tuple[str, ...] = (),
                      cached_below: pathlib.Path) -> str:
        """The output of the example, in a project that gets the library with `find`, and has these units, too."""
        project, build = self.folder / "project", self.folder / "build"
        project.mkdir()
        (project / "example.cpp").write_text(example_in(self.source / "include/kvcache/cache.hpp"))
        for number, unit in enumerate(units):
            (project / f"unit_{number}.cpp").write_text(unit)
        names = " ".join(f"unit_{number}.cpp" for number in range(len(units)))
        (project / "CMakeLists.txt").write_text(PROJECT.format(find=find, units=names))
        # The temporary directory has another name each time: only relative paths can be found in the compiler's cache.
        environment = {**os.environ, "CCACHE_BASEDIR": str(cached_below), "CCACHE_NOHASHDIR": "1"}
        self.run_command(
            self.settings.cmake, "-S", project, "-B", build, "-G", self.settings.generator,
            "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_COMPILER={self.settings.compiler}",
            f"-DCMAKE_CXX_COMPILER_LAUNCHER={self.settings.launcher}", f"-DCMAKE_CXX_FLAGS={flags}", *options,
            env=environment)
        self.run_command(
            self.settings.cmake, "--build", build, "--target", "example", "--parallel", "2", env=environment)
        self.check_interface(build, flags)
        return self.run_command(build / "example")

    def check_interface(self, build: pathlib.Path, flags: str) -> None:
        """Nothing of this project's flags reaches a user."""
        interface = dict(line.split("=", 1) for line in (build / "interface.txt").read_text().splitlines())
        self.assertEqual(interface.pop("LINK_LIBRARIES"), "Threads::Threads")
        for name, value in interface.items():
            self.assertTrue(value.endswith("NOTFOUND") or value == "", f"{name}: {value}")
        commands = json.loads((build / "compile_commands.json").read_text())
        (command,) = (entry["command"] for entry in commands if entry["file"].endswith("example.cpp"))
        found = {word for word in shlex.split(command) if re.match(r"-[DWfOm]", word)}
        self.assertEqual(found - set(flags.split()), set())

    def headers(self) -> list[pathlib.Path]:
        return sorted((self.source / "include/kvcache").glob("*.hpp"))

    def instrumentation(self) -> str:
        """What a program that links this build's library has to be linked with."""
        words = []
        if self.settings.sanitize:
            words.append(f"-fsanitize={self.settings.sanitize}")
        if self.settings.coverage == "1":
            words.append("--coverage")
        return " ".join(words)

    def test_the_installed_library_runs_the_example(self) -> None:
        prefix = self.folder / "prefix"
        self.run_command(
            self.settings.cmake, "--install", self.settings.build, "--prefix", prefix, "--component", "library")
        self.assertFalse((prefix / "bin").exists())
        output = self.build_and_run(
            "find_package(keyvalue-cache 0.1 REQUIRED)", f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DCMAKE_EXE_LINKER_FLAGS=-fno-lto {self.instrumentation()}",
            flags=f"{STRICT} {self.instrumentation()}".strip(), cached_below=self.folder,
            units=tuple(f"#include <kvcache/{header.name}>\n" for header in self.headers()))
        self.assertEqual(output, "value\n")

    def test_the_sources_in_a_subdirectory_run_the_example(self) -> None:
        output = self.build_and_run(f"add_subdirectory({self.source} keyvalue-cache)", cached_below=self.source)
        self.assertEqual(output, "value\n")
        self.assertFalse((self.folder / "build/keyvalue-cache/keyvalue-cache").exists())

    def test_the_example_has_at_most_ten_lines(self) -> None:
        self.assertLessEqual(len(example_in(self.source / "include/kvcache/cache.hpp").splitlines()), 10)

    def test_public_headers_show_no_internals(self) -> None:
        for header in self.headers():
            with self.subTest(header=header.name):
                code = re.sub(r"//.*", "", header.read_text())
                self.assertNotRegex(code, r"\binternals\(|\bstore&|\broom_maker\b|\bevictor\b|\bmemory_monitor\b")

    def test_public_headers_state_their_contract(self) -> None:
        for header in self.headers():
            with self.subTest(header=header.name):
                opening = header.read_text().split("#pragma once")[0]
                values_only = not re.search(r"^class ", header.read_text(), re.MULTILINE)
                for label in ("Thread-safety:", "Ownership:", *(() if values_only else ("Errors:", "Complexity:"))):
                    self.assertIn(label, opening)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("source", "build", "cmake", "compiler", "launcher", "generator", "sanitize", "coverage"):
        parser.add_argument(f"--{name}", required=True)
    OutsideProjects.settings, rest = parser.parse_known_args()
    unittest.main(argv=["outside_projects_test.py", *rest])
