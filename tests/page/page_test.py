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
sys.path.insert(0, str(HERE.parent / "support"))
import npm  # noqa: E402

BROWSER = "chromium"


def main():
    program, source, packages, *rest = sys.argv[1:]
    packages = pathlib.Path(packages)
    update = "--update" in rest
    if fault := npm.missing(BROWSER) or npm.install(HERE, packages):
        npm.skip(fault)
    environment = {**os.environ, "PAGE_TEST_PROGRAM": program, "PAGE_TEST_SOURCE": source, "PAGE_TEST_PACKAGES": str(packages),
                   "PAGE_TEST_BROWSER": shutil.which(BROWSER), "PAGE_TEST_UPDATE": "1" if update else ""}
    arguments = [argument for argument in rest if argument != "--update"]
    sys.exit(subprocess.run(["node", "--test", "--test-reporter=spec", *arguments, str(HERE / "page_test.mjs")],
                            env=environment).returncode)


if __name__ == "__main__":
    main()
