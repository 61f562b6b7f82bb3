"""One timed run against one running contestant: rate, latencies, processor time of both sides.

`capacity` is what the benchmarks compare: requests per second if two cores did nothing but these requests,
server and client together. It hardly depends on what else the machine does, as a raw rate does. Divided by
the ceiling's in the same round it is `norm`.
"""

from . import load, wrk
from .processes import Noise

CORE_SECONDS = 2.0
PERCENTILES = ["p50", "p90", "p99", "p99.9"]


def _figures(contestant, run):
    """run() returns requests, seconds, cpu_seconds (the client's), bad and the percentiles in us."""
    noise = Noise()
    before = contestant.cpu()
    result = run()
    used = contestant.cpu() - before
    requests, client = max(result["requests"], 1), result["cpu_seconds"]
    return {
        "rate": requests / result["seconds"],
        **{p: result[p] for p in PERCENTILES},
        "server_user_us": used.user / requests * 1e6,
        "server_system_us": used.system / requests * 1e6,
        "client_us": client / requests * 1e6,
        "capacity": CORE_SECONDS * requests / (used.total + client),
        "bad": result["bad"],
        "foreign_percent": noise.foreign_percent(used.total + client),
    }


def with_wrk(contestant, request, seconds, threads, connections, depth, keys):
    def run():
        got = wrk.run(contestant.server.port, contestant.api[request], seconds, threads, connections, depth, keys)
        return {**got, "bad": got["bad_status"] + got["broken"]}

    return _figures(contestant, run)


def with_load(contestant, seconds, **options):
    """options: as of `bench_load --help`. A miss is an answer like any other."""
    def run():
        got = load.run(contestant.server.port, protocol=contestant.speaks, seconds=seconds, **options)
        return {"requests": got["answered"], "seconds": got["seconds"], "cpu_seconds": got["cpu_seconds"],
                "bad": got["errors"] + got["refused"] + got["dropped"], **got["latency_us"]["all"]}

    return _figures(contestant, run)


def add_norms(runs, *same):
    """Gives each run its norm: against the ceiling's run that agrees in the columns named."""
    ceilings = {tuple(run[c] for c in same): run["capacity"] for run in runs if run["contestant"] == "ceiling"}
    for run in runs:
        run["norm"] = run["capacity"] / ceilings[tuple(run[c] for c in same)]
