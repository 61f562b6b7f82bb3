#!/usr/bin/env python3
"""A stop under full load drops no request: wrk and the daemon report the same number.

    drain_under_wrk_test.py KEYVALUE_CACHE

Sends SIGTERM to the daemon while 64 connections of wrk saturate it. The number of responses that the daemon logs at
its end must equal the number that wrk has received, and no response may have failed or timed out. Afterwards wrk
cannot reconnect and counts its first write as an error, as expected. It had no error before if it opened no further
connection, since it opens one after each error. Needs Debian's package wrk.
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import daemon, until

CONNECTIONS = 64
REQUESTS_BEFORE = 20_000
DURATION = "600s"  # it is stopped before


class StatsClient:
    """Reads /stats, over one connection."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def stats(self):
        self._connection.request("GET", "/stats")
        return json.loads(self._connection.getresponse().read())

    def close(self):
        self._connection.close()


class Drain(unittest.TestCase):
    program = ""  # set by main

    def test_drops_no_request_of_wrk(self):
        self.assertIsNotNone(shutil.which("wrk"), "wrk is missing: install Debian's package")
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "cache.log"
            with daemon(self.program, log) as cache:
                stats_client = StatsClient(cache.port)
                wrk = subprocess.Popen(["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{DURATION}", "--timeout=60s",
                                        f"http://127.0.0.1:{cache.port}/get?key=none"],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                try:
                    until("the load has begun",
                          lambda: stats_client.stats()["since_start"]["gets"] >= REQUESTS_BEFORE)
                    before = stats_client.stats()["connections"]
                    stats_client.close()
                    cache.process.send_signal(signal.SIGTERM)
                    self.assertEqual(cache.process.wait(timeout=60), 0)
                finally:
                    wrk.send_signal(signal.SIGINT)  # it prints its summary
                    report = wrk.communicate(timeout=60)[0]
            log_text = log.read_text()
        # Those of wrk, that of the statistics, and one with which wrk probes the address and which it closes.
        self.assertEqual((before["now"], before["total"]), (CONNECTIONS + 1, CONNECTIONS + 2), report)
        read = int(re.search(r"(\d+) requests in", report)[1])
        responded = int(re.search(r"stopped; responded to (\d+) GETs", log_text)[1])
        self.assertGreaterEqual(read, REQUESTS_BEFORE)
        self.assertEqual(read, responded, report)
        errors = dict(re.findall(r"(\w+) (\d+)", re.search(r"Socket errors: (.*)|$", report)[1] or ""))
        for kind in ("connect", "read", "timeout"):
            self.assertEqual(errors.get(kind, "0"), "0", report)


if __name__ == "__main__":
    Drain.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
