"""Runs wrk with lib/wrk.lua and returns what it measured."""

import json
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "wrk.lua"
PREPARE_SECONDS = 120  # at most, for making requests before the clock starts
MARK = "KVBENCH "


def run(port, request, seconds, threads=2, connections=64, depth=1, keys=0):
    """request: method, path and body with {key} where the key belongs; keys 0 means one fixed key."""
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
               "-s", str(SCRIPT), f"http://127.0.0.1:{port}/", "--",
               f"method={request['method']}", f"path={request['path']}", f"body={request.get('body', '')}",
               f"depth={depth}", f"keys={keys}", f"connections={connections}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=seconds + PREPARE_SECONDS)
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            return json.loads(line[len(MARK):])
    sys.exit(f"wrk failed:\n{done.stdout}")
