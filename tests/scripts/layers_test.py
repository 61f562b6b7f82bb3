"""Each layer of src includes only itself, the layers below it, and include/kvcache.

usage: layers_test.py SOURCE_DIR

The order is the one in which src/CMakeLists.txt adds the layers; there are no exceptions. The public headers do not
include src.
"""

import pathlib
import re
import sys
import tempfile
import unittest

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def layers_of(source: pathlib.Path) -> list[str]:
    """The layers of src, bottom to top."""
    return re.findall(r"^add_subdirectory\((\w+)\)", (source / "src/CMakeLists.txt").read_text(), re.MULTILINE)


def upward_includes(source: pathlib.Path) -> list[str]:
    layers = layers_of(source)
    found = []
    for path in sorted(source.glob("src/*/**/*.[ch]pp")):
        layer = path.relative_to(source / "src").parts[0]
        below = [*layers[: layers.index(layer) + 1], "kvcache"]
        for included in INCLUDE.findall(path.read_text()):
            if "/" in included and included.split("/")[0] not in below:
                found.append(f"{path.relative_to(source)} includes {included}")
    for path in sorted(source.glob("include/kvcache/**/*.hpp")):
        for included in INCLUDE.findall(path.read_text()):
            if not included.startswith("kvcache/"):
                found.append(f"{path.relative_to(source)} includes {included}")
    return found


class Layers(unittest.TestCase):
    source: pathlib.Path

    def test_every_folder_of_src_is_a_layer(self) -> None:
        folders = {path.name for path in (self.source / "src").iterdir() if path.is_dir()}
        self.assertEqual(folders, set(layers_of(self.source)))

    def test_no_include_points_upward(self) -> None:
        self.assertEqual(upward_includes(self.source), [])

    def test_an_upward_include_is_found(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for layer in ("low", "high"):
                (root / "src" / layer).mkdir(parents=True)
            (root / "src/CMakeLists.txt").write_text("add_subdirectory(low)\nadd_subdirectory(high)\n")
            (root / "src/low/a.hpp").write_text('#include "high/b.hpp"\n')
            (root / "src/high/b.hpp").write_text('#include "low/a.hpp"\n')
            self.assertEqual(upward_includes(root), ["src/low/a.hpp includes high/b.hpp"])


if __name__ == "__main__":
    Layers.source = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
