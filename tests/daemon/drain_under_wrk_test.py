#!/usr/bin/env python3
"""A stop under wrk's full load drops no request: wrk counts.

    drain_under_wrk_test.py KEYVALUE_CACHE

Sends SIGTERM to the daemon while 64 connections of wrk keep it as busy as it can be, and looks at what wrk
says of them: it read each reply to its end, and none was late. That it finds nobody when it connects anew
afterwards is as it should be. Needs Debian's package wrk.
"""

import http.client
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "observe"))
from running import daemon, until

REQUESTS_BEFORE = 20_000
FOR_EVER = "600s"  # it is told to stop


def gets(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/stats")
    total = json.loads(connection.getresponse().read())["since_start"]["gets"]
    connection.close()
    return total


class Drain(unittest.TestCase):
    program = ""  # set by main

    def test_drops_no_request_of_wrk(self):
        self.assertIsNotNone(shutil.which("wrk"), "wrk is missing: install Debian's package")
        with tempfile.TemporaryDirectory() as folder, \
                daemon(self.program, pathlib.Path(folder) / "cache.log") as cache:
            wrk = subprocess.Popen(["wrk", "-t2", "-c64", f"-d{FOR_EVER}",
                                    f"http://127.0.0.1:{cache.port}/get?key=none"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                until("the load is on", lambda: gets(cache.port) >= REQUESTS_BEFORE)
                cache.process.send_signal(signal.SIGTERM)
                self.assertEqual(cache.process.wait(timeout=30), 0)
            finally:
                wrk.send_signal(signal.SIGINT)  # it sums up
                report = wrk.communicate(timeout=30)[0]
        self.assertGreaterEqual(int(re.search(r"(\d+) requests in", report)[1]), REQUESTS_BEFORE)
        errors = dict(re.findall(r"(\w+) (\d+)", re.search(r"Socket errors: (.*)", report)[1]))
        self.assertEqual((errors["read"], errors["timeout"]), ("0", "0"), report)
        # Told to connect anew where nobody listens any more, wrk counts its first write there.
        self.assertGreater(int(errors["write"]) + int(errors["connect"]), 0, report)


if __name__ == "__main__":
    Drain.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
