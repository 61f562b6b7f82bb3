"""One timed run against one running contestant: rate, latencies, processor time of both sides.

`capacity` is what the benchmarks compare: requests per second if two cores did nothing but these requests,
server and client together. It hardly depends on what else the machine does, as a raw rate does.
"""

import os
import sys
import time

from . import load, wrk
from .processes import machine_busy_seconds

CORE_SECONDS = 2.0
PERCENTILES = ["p50", "p90", "p99", "p99.9"]
CPU_ERROR_SECONDS = 0.1  # the kernel tells processor times in steps of 10 ms, for each process
ATTEMPTS = 3


class Window:
    """What the server, and the whole machine, used of the processors between entry and exit."""

    def __init__(self, contestant):
        self._contestant = contestant

    def __enter__(self):
        self._before = self._read()
        return self

    def __exit__(self, *_):
        self._elapsed, self._busy, self.server = (now - then for now, then in zip(self._read(), self._before))

    def _read(self):
        return time.monotonic(), machine_busy_seconds(), self._contestant.cpu()

    def foreign_percent(self, client_seconds):
        """Share of the machine's processors that neither the server nor its client used."""
        foreign = max(0.0, self._busy - self.server.total - client_seconds)
        return 100.0 * foreign / (self._elapsed * os.cpu_count())


def _figures(contestant, run):
    """run() returns a Window around it, and requests, seconds, cpu_seconds (the client's while it measured),
    whole_cpu_seconds (the client's in the window), bad and the percentiles in us.

    Nobody uses more processors than there are: a run that seems to has counted requests, processor time and
    seconds that do not belong together, and is repeated.
    """
    for _ in range(ATTEMPTS):
        window, result = run()
        requests, client, server = max(result["requests"], 1), result["cpu_seconds"], window.server
        used = server.total + client
        if used <= os.cpu_count() * result["seconds"] + CPU_ERROR_SECONDS:
            break
        print(f"{contestant.name}: {used:.2f} s of {os.cpu_count()} processors in {result['seconds']:.2f} s: once more",
              file=sys.stderr)
    else:
        sys.exit(f"{contestant.name}: more processor time than there was, {ATTEMPTS} times in a row")
    return {
        "rate": requests / result["seconds"],
        **{p: result[p] for p in PERCENTILES},
        "server_user_us": server.user / requests * 1e6,
        "server_system_us": server.system / requests * 1e6,
        "client_us": client / requests * 1e6,
        "capacity": CORE_SECONDS * requests / used,
        "cores": used / result["seconds"],
        "bad": result["bad"],
        "foreign_percent": window.foreign_percent(result["whole_cpu_seconds"]),
    }


def with_wrk(contestant, request, seconds, threads, connections, depth, keys):
    def run():
        with Window(contestant) as window:  # wider than what is measured, but the server is idle before and after it
            got = wrk.run(contestant.server.port, contestant.api[request], seconds, threads, connections, depth, keys)
        return window, {**got, "bad": got["bad_status"] + got["broken"]}

    return _figures(contestant, run)


def with_load(contestant, seconds, **options):
    """options: as of `bench_load --help`. All keys must have been preloaded: a miss is a bad answer. With batch=N, every figure
    but the latencies is of keys."""
    def run():
        with load.connected(contestant.server.port, protocol=contestant.speaks, seconds=seconds, **options) as go:
            with Window(contestant) as window:
                got = go()
        return window, {"requests": got["answered"], "seconds": got["seconds"], "cpu_seconds": got["cpu_seconds"],
                        "whole_cpu_seconds": got["cpu_seconds"], **got["latency_us"]["all"],
                        "bad": got["misses"] + got["errors"] + got["refused"] + got["dropped"] + got["wrong_values"]}

    return _figures(contestant, run)
