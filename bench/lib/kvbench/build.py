"""Builds the daemon and the benchmarks' own programs in build/bench, as Release."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / "bench"
RESULTS = BUILD / "results"

PROGRAMS = {
    "keyvalue-cache": BUILD / "keyvalue-cache",
    "bench_ceiling": BUILD / "bench" / "throughput" / "bench_ceiling",
    "bench_bulk_ceiling": BUILD / "bench" / "kv" / "bench_bulk_ceiling",
    "bench_ordinary_beast": BUILD / "bench" / "throughput" / "bench_ordinary_beast",
    "store_bench": BUILD / "bench" / "store" / "store_bench",
    "bench_large_fill": BUILD / "bench" / "memory" / "bench_large_fill",
    "bench_restart_order": BUILD / "bench" / "snapshot" / "bench_restart_order",
    "bench_load": BUILD / "bench" / "lib" / "bench_load",
}


def _run(command):
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{done.stdout[-4000:]}\nbuilding failed: {' '.join(map(str, command))}")


def build(*programs):
    """Builds the named programs; ends the command with the compiler's words where that fails."""
    print(f"building {', '.join(programs)} …", file=sys.stderr)
    _run(["cmake", "--preset", "release", "-B", BUILD, "-DKVCACHE_BUILD_BENCH=ON", "-DKVCACHE_BUILD_TESTS=OFF"])
    _run(["cmake", "--build", BUILD, "--target", *programs])


def program(name):
    path = PROGRAMS[name]
    if not path.exists():
        sys.exit(f"{path} is not there: run without --no-build")
    return str(path)
