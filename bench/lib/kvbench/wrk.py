"""Runs wrk with lib/wrk.lua and returns what it measured."""

import json
import os
import pathlib
import subprocess
import sys

from .contestants import FIXED_KEY, request_text

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "wrk.lua"
GRACE_SECONDS = 60  # at most, for what is done before the clock starts and after it stopped
MARK = "KVBENCH "


def _children_seconds():
    used = os.times()
    return used.children_user + used.children_system


def run(port, request, seconds, threads=2, connections=64, depth=1, keys=0):
    """request: as request_text takes it; keys: 0 means one fixed key, else all of them in shuffled order."""
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
               "-s", str(SCRIPT), f"http://127.0.0.1:{port}/", "--",
               f"request={request_text(request)}", f"key={FIXED_KEY}", f"depth={depth}", f"keys={keys}",
               f"threads={threads}", f"connections={connections}"]
    before = _children_seconds()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=seconds + GRACE_SECONDS)
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            return {**json.loads(line[len(MARK):]), "whole_cpu_seconds": _children_seconds() - before}
    sys.exit(f"wrk failed:\n{done.stdout}")
