#!/usr/bin/env python3
"""Every command under bench/ starts and answers --help, and names nothing that kvbench does not have.

They run for minutes and need a quiet machine, so no other test runs them: without this a renamed function
would be noticed by whoever measures next.
"""

import ast
import importlib
import inspect
import pathlib
import subprocess
import sys
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH / "lib"))


def commands():
    files = [path for path in BENCH.rglob("*") if path.is_file() and path.parent.name not in ("lib", "kvbench")]
    return sorted(path for path in files if path.read_bytes().startswith(b"#!/usr/bin/env python3\n"))


def sources():
    return commands() + sorted((BENCH / "lib" / "kvbench").glob("*.py"))


def modules_of(tree):
    """The modules of kvbench that a file names, by the names it gives them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module == "kvbench" or (node.module is None and node.level == 1)):
            for imported in node.names:
                yield imported.asname or imported.name, importlib.import_module(f"kvbench.{imported.name}")


def cannot_be_called(function, call):
    """Whether a call with plain arguments does not fit the function's parameters."""
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return False
    try:
        inspect.signature(function).bind(*call.args, **{k.arg: k.value for k in call.keywords})
    except TypeError:
        return True
    return False


def faults_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = dict(modules_of(tree))

    def named(node):
        return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules

    for node in ast.walk(tree):
        if named(node) and not hasattr(modules[node.value.id], node.attr):
            yield f"{path}:{node.lineno}: no {node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and named(node.func):
            function = getattr(modules[node.func.value.id], node.func.attr, None)
            if callable(function) and cannot_be_called(function, node):
                yield f"{path}:{node.lineno}: wrong arguments for {node.func.value.id}.{node.func.attr}"


class Commands(unittest.TestCase):
    def test_there_are_some(self):
        self.assertGreater(len(commands()), 10)

    def test_each_answers_help(self):
        for path in commands():
            with self.subTest(command=path.relative_to(BENCH)):
                asked = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True, timeout=60)
                self.assertEqual(asked.returncode, 0, asked.stderr)

    def test_each_calls_kvbench_as_it_is(self):
        self.assertEqual([fault for path in sources() for fault in faults_of(path)], [])


if __name__ == "__main__":
    unittest.main()
