"""A cache is as warm after a restart as it was before, and starts whatever it finds.

Stops the real daemon by the signals of an operator and of the kernel, starts it again on the same snapshot
file, and looks for its entries.
"""

import http.client
import json
import os
import pathlib
import random
import resource
import signal
import sys
import tempfile
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "snapshot")]
import file_format  # noqa: E402
from running import daemon, until  # noqa: E402

BATCH = 500


def ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers
    finally:
        connection.close()


def batch(port, operations):
    status, body, _ = ask(port, "POST", "/batch", json.dumps({"ops": operations}))
    assert status == 200, body
    return json.loads(body)["results"]


def fill(port, entries, value="v" * 100):
    for first in range(0, entries, BATCH):
        batch(port, [{"op": "put", "key": f"key{number}", "value": value}
                     for number in range(first, min(first + BATCH, entries))])


def missing(port, numbers):
    numbers = list(numbers)
    found = []
    for first in range(0, len(numbers), BATCH):
        found += batch(port, [{"op": "get", "key": f"key{number}"} for number in numbers[first:first + BATCH]])
    return sum(1 for one in found if one["code"] != 200)


class Restart(unittest.TestCase):
    program = ""  # set by main

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = self.folder / "snapshot"
        self.starts = 0

    def start(self, *options):
        self.starts += 1
        return daemon(self.program, self.log(), "--snapshot-file", str(self.file), *options)

    def log(self):
        return self.folder / f"{self.starts}.log"

    def stop(self, running):
        running.process.send_signal(signal.SIGTERM)
        self.assertEqual(running.process.wait(timeout=60), 0)

    def ready(self, running):
        until("it is ready", lambda: ask(running.port, "GET", "/readyz")[0] == 200)

    def snapshot_stats(self, running):
        return json.loads(ask(running.port, "GET", "/stats")[1])["snapshot"]

    def test_entries_are_there_after_a_restart_as_they_were(self):
        png = bytes(range(256)) * 2000
        with self.start() as first:
            fill(first.port, 20_000)
            self.assertEqual(ask(first.port, "PUT", "/kv/image", png, **{"Content-Type": "image/png"})[0], 201)
            self.assertEqual(ask(first.port, "PUT", "/kv/brief?ttl=1", b"gone")[0], 201)
            self.assertEqual(ask(first.port, "PUT", "/kv/lasting?ttl=600", b"there")[0], 201)
            self.assertEqual(ask(first.port, "POST", "/kv/counter?op=incr&by=41&initial=0")[0], 200)
            self.stop(first)
        time.sleep(1.2)  # the life of "brief"; nothing is waited for
        with self.start() as second:
            self.ready(second)
            self.assertEqual(missing(second.port, range(20_000)), 0)
            status, body, headers = ask(second.port, "GET", "/kv/image")
            self.assertEqual((status, body, headers["Content-Type"]), (200, png, "image/png"))
            self.assertEqual(ask(second.port, "GET", "/kv/brief")[0], 404)
            status, body, headers = ask(second.port, "GET", "/kv/lasting")
            self.assertEqual((status, body), (200, b"there"))
            self.assertLess(int(headers["KV-TTL"]), 600)
            self.assertGreater(int(headers["KV-TTL"]), 500)
            self.assertEqual(json.loads(ask(second.port, "POST", "/kv/counter?op=incr")[1])["value"], "42")
            load = self.snapshot_stats(second)["last_load"]
            self.assertEqual((load["result"], load["entries"]), ("loaded", 20_003))
            self.assertFalse(self.file.exists())

    def test_a_stranger_can_read_the_file_by_its_description(self):
        with self.start() as first:
            fill(first.port, 2_000)
            large = bytes(range(256)) * 1500  # of two blocks
            self.assertEqual(ask(first.port, "PUT", "/kv/large", large, **{"Content-Type": "image/png"})[0], 201)
            self.assertEqual(ask(first.port, "PUT", "/kv/lasting?ttl=600", b"there")[0], 201)
            self.stop(first)
        now_ms = time.time() * 1000
        entries, complete = file_format.read(self.file.read_bytes())
        found = {one.key.decode(): one for one in entries}
        self.assertTrue(complete)
        self.assertEqual(len(entries), 2_002)
        self.assertEqual({name for name in found if name.startswith("key")}, {f"key{i}" for i in range(2_000)})
        self.assertEqual((found["key7"].value, found["key7"].is_utf8), (b"v" * 100, True))
        self.assertEqual((found["large"].value, found["large"].type, found["large"].is_utf8), (large, "image/png", False))
        self.assertAlmostEqual(found["lasting"].expires_at_ms, now_ms + 600_000, delta=60_000)

    def test_a_crash_gives_nothing_back_without_an_interval(self):
        with self.start() as first:
            fill(first.port, 100)
            self.stop(first)
        with self.start() as second:
            self.ready(second)
            second.process.kill()
            second.process.wait()
        with self.start() as third:
            self.assertEqual(missing(third.port, range(100)), 100)

    def test_a_crash_gives_the_last_snapshot_back_with_an_interval(self):
        with self.start("--snapshot-interval-s", "1") as first:
            fill(first.port, 100)
            until("a snapshot is written", lambda: self.snapshot_stats(first)["last_save"]["entries"] == 100)
            first.process.kill()
            first.process.wait()
        with self.start("--snapshot-interval-s", "3600") as second:
            self.ready(second)
            self.assertEqual(missing(second.port, range(100)), 0)
            self.assertTrue(self.file.exists())

    def test_a_crash_at_any_moment_of_a_save_leaves_the_snapshot_before_whole(self):
        options = ("--enable-snapshot", "--snapshot-interval-s", "3600")
        with self.start(*options) as first:
            fill(first.port, 50_000)
            self.stop(first)
        chance = random.Random(27)
        for _ in range(12):
            with self.start(*options) as running:
                self.ready(running)
                self.assertEqual(missing(running.port, range(0, 50_000, 100)), 0)
                connection = http.client.HTTPConnection("127.0.0.1", running.port)
                connection.request("POST", "/snapshot")
                time.sleep(chance.uniform(0, 0.05))  # the moment
                running.process.kill()
                running.process.wait()
                connection.close()
        with self.start(*options) as last:
            self.ready(last)
            self.assertEqual(missing(last.port, range(50_000)), 0)
            self.assertEqual(ask(last.port, "POST", "/snapshot")[0], 200)  # whatever was left behind

    def test_it_starts_empty_and_warns_whatever_is_in_the_place_of_the_file(self):
        def text():
            self.file.write_bytes(b"some text that is long enough to be the header of a snapshot file")

        def newer_version():
            self.file.write_bytes(b"\x89kvc\r\n\x1a\n" + (7).to_bytes(4, "little") + bytes(100))

        kinds = {"a folder": self.file.mkdir, "a pipe": lambda: os.mkfifo(self.file), "an empty file": self.file.touch,
                 "a text": text, "a newer version": newer_version}
        for name, make in kinds.items():
            with self.subTest(name):
                make()
                with self.start() as running:
                    self.ready(running)
                    self.assertIn("nothing is loaded from", self.log().read_text())
                    self.assertEqual(self.snapshot_stats(running)["last_load"]["result"], "refused")
                    fill(running.port, 10)
                    running.process.kill()
                    running.process.wait()
                if self.file.is_dir():
                    self.file.rmdir()
                else:
                    self.file.unlink()

    def test_a_damaged_file_gives_back_what_is_not_damaged(self):
        with self.start() as first:
            fill(first.port, 20_000)
            self.stop(first)
        damaged = bytearray(self.file.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        self.file.write_bytes(damaged)
        with self.start() as second:
            self.ready(second)
            load = self.snapshot_stats(second)["last_load"]
            self.assertEqual((load["result"], load["skipped_blocks"]), ("damaged", 1))
            self.assertGreater(load["entries"], 15_000)
            self.assertLess(load["entries"], 20_000)
            self.assertIn("the file is damaged", self.log().read_text())

    def test_a_snapshot_that_is_too_old_is_not_loaded(self):
        with self.start() as first:
            fill(first.port, 10)
            self.stop(first)
        time.sleep(1.5)  # older than the option says; nothing is waited for
        with self.start("--snapshot-max-age-s", "1") as second:
            self.assertEqual(missing(second.port, range(10)), 10)
            self.assertEqual(self.snapshot_stats(second)["last_load"]["result"], "too_old")

    def test_a_second_signal_ends_the_drain_and_the_snapshot_begins(self):
        with self.start("--drain-timeout-ms", "60000") as first:
            fill(first.port, 10)
            idle = http.client.HTTPConnection("127.0.0.1", first.port)
            idle.connect()
            idle.sock.sendall(b"GET /get?key=a HTTP/1.1\r\n")  # a request that never ends
            first.process.send_signal(signal.SIGTERM)
            until("it drains", lambda: "stopping" in self.log().read_text())
            first.process.send_signal(signal.SIGTERM)
            self.assertEqual(first.process.wait(timeout=60), 0)
            idle.close()
        with self.start() as second:
            self.ready(second)
            self.assertEqual(missing(second.port, range(10)), 0)

    def test_a_file_that_cannot_grow_fails_the_save_and_leaves_the_one_before(self):
        with self.start() as first:
            fill(first.port, 10)
            self.stop(first)
        before = self.file.read_bytes()
        with self.start("--snapshot-interval-s", "3600", "--enable-snapshot") as second:
            self.ready(second)
            fill(second.port, 20_000)
            resource.prlimit(second.process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
            status, body, _ = ask(second.port, "POST", "/snapshot")
            self.assertEqual(status, 500)
            self.assertIn("File too large", json.loads(body)["message"])
            self.assertEqual(self.file.read_bytes(), before)
            self.assertEqual(self.snapshot_stats(second)["failed_saves"], 1)
            self.stop(second)  # nor at the stop
            self.assertIn("not saved", self.log().read_text())
        self.assertEqual(self.file.read_bytes(), before)
        self.assertEqual([one.name for one in self.folder.iterdir() if one.suffix == ".tmp"], [])

    def test_what_is_saved_in_too_little_time_begins_with_the_hottest_entries(self):
        hot = range(0, 200_000, 400)  # less than a block
        with self.start("--snapshot-timeout-ms", "100", "--max-value-bytes", "1M") as first:
            fill(first.port, 200_000, "v" * 250)
            large = os.urandom(1 << 20)
            for number in range(400):  # what takes the time
                self.assertEqual(ask(first.port, "PUT", f"/kv/large{number}", large)[0], 201)
            self.assertEqual(missing(first.port, hot), 0)
            self.stop(first)
            self.assertIn("the hottest", self.log().read_text())
        kind, payload = next(file_format.blocks(self.file.read_bytes()))
        first_saved = list(file_format.Bytes(payload).entries())[:len(hot)] if kind == file_format.ENTRIES else []
        self.assertLessEqual({one.key for one in first_saved}, {f"key{number}".encode() for number in hot})
        with self.start() as second:
            self.ready(second)
            if first_saved:
                self.assertEqual(missing(second.port, hot), 0)


if __name__ == "__main__":
    Restart.program = sys.argv.pop(1)
    unittest.main()
