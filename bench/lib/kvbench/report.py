"""CSV and Markdown files, and the lines that say where and when something was measured."""

import csv
import datetime
import os
import pathlib
import platform
import shutil
import subprocess
import sys

from . import build

KEPT_BELOW = "<!-- What follows is written by `run --keep`. -->"


def _first_line(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""


def _processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Processor")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def environment():
    """One line: when, what revision, on what."""
    revision = _first_line(["git", "-C", str(build.ROOT), "describe", "--always", "--dirty", "--tags"])
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{now}, revision {revision}, {os.cpu_count()} × {_processor()}, {memory:.0f} GiB, "
            f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}")


def results_directory(path):
    directory = pathlib.Path(path) if path else build.RESULTS
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def write_csv(path, rows):
    """rows: dictionaries; the columns are all that any of them has, in the order of their appearance."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def table(header, rows):
    """A Markdown table; the first column is left-aligned, the others right-aligned."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|--:" * (len(header) - 1) + "|"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def table_of(rows):
    """A table of rows that are pairs of header and cell."""
    rows = [list(row) for row in rows]
    return table([header for header, _ in rows[0]], [[cell for _, cell in row] for row in rows])


def keep(folder, text, plots):
    """Puts figures where they are read: below the mark in the folder's README.md, with the plots beside it."""
    readme = folder / "README.md"
    head, mark, _ = readme.read_text(encoding="utf-8").partition(KEPT_BELOW)
    if not mark:
        sys.exit(f"{readme} does not say where the figures belong: {KEPT_BELOW}")
    readme.write_text(f"{head}{mark}\n\n{text}", encoding="utf-8")
    for plot in plots:
        if plot.exists():
            shutil.copy(plot, folder)


def keep_part(path, part, text):
    """Puts text between the marks of that part in a file of the repository."""
    begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->\n"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        sys.exit(f"{path} has no place for {part}")
    path.write_text(before + begin + text + end + after, encoding="utf-8")
