"""Packages of npm's registry, for tests that need some. Their versions and digests are in a folder's package-lock.json."""

import os
import shutil
import subprocess
import sys

INSTALL_S = 300
SKIPPED = 77


def missing(*programs):
    """What is not installed; empty if all are."""
    for name in (*programs, "node", "npm"):
        path = shutil.which(name)
        if path is None or subprocess.run([path, "--version"], capture_output=True).returncode != 0:
            return f"{name} is not installed"
    return ""


def install(folder, packages):
    """Installs what package.json of the folder names into packages. Returns what is wrong; empty if nothing is."""
    packages.mkdir(parents=True, exist_ok=True)
    lock = packages / "package-lock.json"
    if lock.exists() and lock.read_bytes() == (folder / lock.name).read_bytes() and (packages / "node_modules").exists():
        return ""
    for name in ("package.json", lock.name):
        shutil.copy(folder / name, packages / name)
    try:
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=packages, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=INSTALL_S)
        fault = f"npm ci fails: {done.stdout}" if done.returncode != 0 else ""
    except subprocess.TimeoutExpired:
        fault = f"npm ci takes more than {INSTALL_S} s"
    if fault:
        lock.unlink()
    return fault


def skip(why):
    """Ends the test: CTest shows it as skipped, or as failed with REQUIRED_BROWSER in the environment, as in CI."""
    print(f"SKIPPED: {why}")
    sys.exit(1 if os.environ.get("REQUIRED_BROWSER") else SKIPPED)
