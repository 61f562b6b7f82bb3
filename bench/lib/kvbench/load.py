"""Runs the load generator (lib/load.cpp) and returns what it measured."""

import contextlib
import json
import subprocess
import sys

from . import build


def command(port, **options):
    """Options as of `bench_load --help`, with _ for -; True is a flag, None and False leave it out."""
    words = [build.program("bench_load"), "--port", str(port)]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words += [flag, str(value)]
    return words


def start(port, **options):
    return subprocess.Popen(command(port, **options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, errors = process.communicate()
    if process.returncode != 0:
        sys.exit(f"bench_load failed: {errors}")
    return json.loads(out)


def run(port, **options):
    return finish(start(port, **options))


@contextlib.contextmanager
def connected(port, **options):
    """Yields a function that runs the load. It connects before the block and disconnects after it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(port, wait=True, **options), stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        def line():
            return process.stdout.readline() or sys.exit(f"bench_load failed: {process.stderr.read()}")

        def go():
            process.stdin.write("\n")
            process.stdin.flush()
            return json.loads(line())

        line()  # it has connected
        yield go


def fill(port, **options):
    """Like run, but every request must have succeeded."""
    result = run(port, **options)
    if result["ok"] != result["answered"] or result["dropped"] or result["server_gone"]:
        sys.exit(f"filling port {port} failed: {json.dumps(result)}")
    return result
