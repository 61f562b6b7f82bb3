#!/usr/bin/env python3
"""curl stores files, and fetches them again only if they have changed.

    curl_test.py KEYVALUE_CACHE SOURCE_DIRECTORY

Needs Debian's package curl.
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import daemon  # noqa: E402


class Curl(unittest.TestCase):
    program = ""  # set by main

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        options = ("--max-value-bytes", "8M")
        self.daemon = self.enterContext(daemon(self.program, self.folder / "daemon.log", *options))

    def curl(self, key, *arguments, given=None):
        """The status that curl was answered with."""
        told = subprocess.run(["curl", "--silent", "--show-error", "--write-out", "%{http_code}", *arguments,
                               f"http://127.0.0.1:{self.daemon.port}/kv/{key}"], cwd=self.folder, input=given,
                              capture_output=True, check=True)
        return told.stdout[-3:].decode()

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def test_files_of_any_size_come_back_as_they_were(self):
        for size in (0, 1, 1024, 65_536, 1_000_000, 8 << 20):
            with self.subTest(size=size):
                content = bytes(range(256)) * (size // 256) + bytes(size % 256)
                self.file("sent", content)
                self.assertIn(self.curl("file", "--upload-file", "sent"), ("201", "204"))
                self.assertEqual(self.curl("file", "--output", "received"), "200")
                self.assertEqual((self.folder / "received").read_bytes(), content)

    def test_a_stream_of_unknown_length_is_stored(self):
        content = b"chunked " * 200_000
        self.assertEqual(self.curl("stream", "--upload-file", "-", given=content), "201")
        self.assertEqual(self.curl("stream", "--output", "received"), "200")
        self.assertEqual((self.folder / "received").read_bytes(), content)

    def test_a_file_is_fetched_again_only_if_it_has_changed(self):
        for content in (b"small", b"large " * 100_000):
            with self.subTest(size=len(content)):
                self.file("sent", content)
                self.curl("page", "--upload-file", "sent")
                self.assertEqual(self.curl("page", "--etag-save", "tag", "--output", "got"), "200")
                self.assertEqual(self.curl("page", "--etag-compare", "tag", "--output", "again"), "304")
                self.file("sent", content + b"!")
                self.assertEqual(self.curl("page", "--upload-file", "sent"), "204")
                self.assertEqual(self.curl("page", "--etag-compare", "tag", "--output", "again"), "200")
                self.assertEqual((self.folder / "again").read_bytes(), content + b"!")

    def test_what_is_too_long_is_refused_before_it_is_sent(self):
        self.file("sent", bytes((8 << 20) + 1))
        self.assertEqual(self.curl("large", "--upload-file", "sent", "--output", "answer"), "413")


if __name__ == "__main__":
    del sys.argv[2]
    Curl.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
