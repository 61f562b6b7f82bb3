#!/usr/bin/env python3
"""The live page in real headless Chromium.

    page_test.py KEYVALUE_CACHE SOURCE_DIRECTORY PACKAGES_DIRECTORY [--update] [ARGUMENT OF node ...]

Installs what package.json names into PACKAGES_DIRECTORY, by npm, and runs page_test.mjs. --update rewrites the
screenshots in src/page. Needs Debian's packages chromium, nodejs and npm, and npm's registry. Ends with 77 where one of
these is missing, which CTest shows as skipped; with REQUIRED_BROWSER in the environment, as in CI, it fails.
"""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BROWSER = "chromium"
INSTALL_S = 300
SKIPPED = 77


def unusable():
    """What is missing; empty if nothing is."""
    for name in (BROWSER, "node", "npm"):
        path = shutil.which(name)
        if path is None or subprocess.run([path, "--version"], capture_output=True).returncode != 0:
            return f"{name} is not installed"
    return ""


def install(packages):
    """Returns what is wrong; empty if nothing is."""
    packages.mkdir(parents=True, exist_ok=True)
    lock = packages / "package-lock.json"
    wanted = HERE / lock.name
    if lock.exists() and lock.read_bytes() == wanted.read_bytes() and (packages / "node_modules").exists():
        return ""
    for name in ("package.json", lock.name):
        shutil.copy(HERE / name, packages / name)
    try:
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=packages, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        return f"npm ci takes more than {INSTALL_S} s"
    if done.returncode == 0:
        return ""
    lock.unlink()
    return f"npm ci fails: {done.stdout}"


def main():
    program, source, packages, *rest = sys.argv[1:]
    packages = pathlib.Path(packages)
    update = "--update" in rest
    if missing := unusable() or install(packages):
        print(f"SKIPPED: {missing}")
        sys.exit(1 if os.environ.get("REQUIRED_BROWSER") else SKIPPED)
    environment = {**os.environ, "PAGE_TEST_PROGRAM": program, "PAGE_TEST_SOURCE": source, "PAGE_TEST_PACKAGES": str(packages),
                   "PAGE_TEST_BROWSER": shutil.which(BROWSER), "PAGE_TEST_UPDATE": "1" if update else ""}
    arguments = [argument for argument in rest if argument != "--update"]
    sys.exit(subprocess.run(["node", "--test", "--test-reporter=spec", *arguments, str(HERE / "page_test.mjs")],
                            env=environment).returncode)


if __name__ == "__main__":
    main()
