#!/usr/bin/env python3
"""A stop under wrk's full load drops no request: wrk and the daemon count the same.

    drain_under_wrk_test.py KEYVALUE_CACHE

Sends SIGTERM to the daemon while 64 connections of wrk keep it as busy as it can be. What the daemon says at its
end to have answered must be what wrk has read to its end, and no reply may have failed or been late. That wrk
finds nobody when it connects anew afterwards is as it should be: it counts its first write there as an error. That
it had none before is seen from the connections, since after each it would have made another. Needs Debian's
package wrk.
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
FOR_EVER = "600s"  # it is told to stop


class Onlooker:
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
                onlooker = Onlooker(cache.port)
                wrk = subprocess.Popen(["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{FOR_EVER}", "--timeout=60s",
                                        f"http://127.0.0.1:{cache.port}/get?key=none"],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                try:
                    until("the load is on",
                          lambda: onlooker.stats()["since_start"]["gets"] >= REQUESTS_BEFORE)
                    before = onlooker.stats()["connections"]
                    onlooker.close()
                    cache.process.send_signal(signal.SIGTERM)
                    self.assertEqual(cache.process.wait(timeout=60), 0)
                finally:
                    wrk.send_signal(signal.SIGINT)  # it sums up
                    report = wrk.communicate(timeout=60)[0]
            last_words = log.read_text()
        # Those of wrk, the onlooker's, and one with which wrk tries the address and which it closes.
        self.assertEqual((before["now"], before["total"]), (CONNECTIONS + 1, CONNECTIONS + 2), report)
        read = int(re.search(r"(\d+) requests in", report)[1])
        answered = int(re.search(r"stopped, having answered (\d+) GETs", last_words)[1])
        self.assertGreaterEqual(read, REQUESTS_BEFORE)
        self.assertEqual(read, answered, report)
        errors = dict(re.findall(r"(\w+) (\d+)", re.search(r"Socket errors: (.*)|$", report)[1] or ""))
        for kind in ("connect", "read", "timeout"):
            self.assertEqual(errors.get(kind, "0"), "0", report)


if __name__ == "__main__":
    Drain.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
