"""All links and file names in the documents exist.

usage: documents_test.py SOURCE_DIR
"""

import pathlib
import re
import sys
import tempfile
import unittest

LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# `src/api/endpoint.hpp`, `api/endpoint.hpp`, `http/fault`: with or without extension, relative to one of ROOTS.
NAMED = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+(?:\.(?:hpp|cpp|py|md|json|cmake|yaml|yml|conf|vcl|service|cfg|svg))?)`")
ROOTS = ("", "src", "include", "tests", "bench", "docker")
ENDINGS = ("", ".hpp", ".cpp")
SKIPPED = {".git", "build"}


def documents(source: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in source.rglob("*.md")
                  if not SKIPPED & set(path.relative_to(source).parts))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub generates."""
    titles = HEADING.findall(CODE_BLOCK.sub("", text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(source: pathlib.Path) -> list[str]:
    found = []
    for path in documents(source):
        for link in LINK.findall(CODE_BLOCK.sub("", path.read_text())):
            if re.match(r"[a-z]+:", link):
                continue
            file, _, anchor = link.partition("#")
            target = path.parent / file if file else path
            if not target.exists() or anchor and anchor not in anchors(target.read_text()):
                found.append(f"{path.relative_to(source)} links to {link}")
    return found


def missing_files(source: pathlib.Path) -> list[str]:
    """Names of files below a folder of this repository that do not exist."""
    folders = {entry.name for root in ROOTS for entry in (source / root).glob("*") if entry.is_dir()} - SKIPPED
    found = []
    for path in documents(source):
        for name in NAMED.findall(path.read_text()):
            bases = [*(source / root for root in ROOTS), path.parent]
            exists = any((base / (name + ending)).exists() for base in bases for ending in ENDINGS)
            if name.split("/")[0] in folders and not exists:
                found.append(f"{path.relative_to(source)} names {name}")
    return found


class Documents(unittest.TestCase):
    maxDiff = None
    source: pathlib.Path

    def test_link_targets_exist(self) -> None:
        self.assertEqual(broken_links(self.source), [])

    def test_named_files_exist(self) -> None:
        self.assertEqual(missing_files(self.source), [])

    def test_broken_links_and_missing_files_are_found(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src/http").mkdir(parents=True)
            (root / "src/http/there.hpp").touch()
            (root / "A.md").write_text("# At 95 %\n[a](#at-95-) [b](#at-96-) [c](B.md) `http/there` `http/gone.hpp` `a/b`\n")
            self.assertEqual(broken_links(root), ["A.md links to #at-96-", "A.md links to B.md"])
            self.assertEqual(missing_files(root), ["A.md names http/gone.hpp"])


if __name__ == "__main__":
    Documents.source = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
