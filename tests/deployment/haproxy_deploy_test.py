#!/usr/bin/env python3
"""Two caches behind HAProxy are restarted one after the other under load: no request fails, no entry is lost.

    haproxy_deploy_test.py KEYVALUE_CACHE

wrk stores values without a pause. Each cache drains, saves its snapshot, starts again and loads it, while HAProxy sends
the requests to the other one until /readyz returns 200. Needs Debian's packages haproxy and wrk.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import ask, free_port, process, until  # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "docker/haproxy/haproxy.cfg"
ENTRIES = 1_000  # stored before, and never again
DRAIN_DELAY_MS = 1_000  # HAProxy notices within 0.1 s
STORED_BETWEEN = 2_000  # requests of wrk between two restarts

PAIR = """
frontend pair
    bind 127.0.0.1:{port}
    default_backend pair

backend pair
    balance uri
    hash-type consistent
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
    http-check expect status 200
    http-reuse safe
    server a 127.0.0.1:{a} check inter 100ms fall 1 rise 1
    server b 127.0.0.1:{b} check inter 100ms fall 1 rise 1
"""

WRK = """
local number = 0
request = function()
  number = number + 1
  return wrk.format("PUT", "/kv/load" .. number % 1000, nil, "value")
end
"""


def is_ready(port):
    try:
        return ask(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


class Deploy(unittest.TestCase):
    program = ""  # set by main

    def setUp(self):
        for tool in ("haproxy", "wrk"):
            self.assertIsNotNone(shutil.which(tool), f"{tool} is missing: install Debian's package")
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.caches = {name: {"port": free_port(), "starts": 0} for name in "ab"}
        for name in self.caches:
            self.start(name)
        self.addCleanup(self.stop_all)
        self.port = free_port()
        own = self.folder / "own.cfg"
        own.write_text(PAIR.format(port=self.port, **{name: one["port"] for name, one in self.caches.items()}))
        environment = {**os.environ, "KVCACHE_TLS_PEM": str(self.certificate()),
                       "KVCACHE_TLS_BIND": f"127.0.0.1:{free_port()}"}
        self.enterContext(process(["haproxy", "-db", "-f", str(EXAMPLE), "-f", str(own)], self.folder / "haproxy.log",
                                  env=environment))
        until("HAProxy serves", lambda: is_ready(self.port))

    def certificate(self):
        path = self.folder / "both.pem"
        key, certificate = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        path.write_text(certificate.read_text() + key.read_text())
        return path

    def start(self, name):
        one = self.caches[name]
        one["starts"] += 1
        one["log"] = self.folder / f"{name}.{one['starts']}.log"
        with one["log"].open("wb") as log:
            one["process"] = subprocess.Popen(
                [self.program, "--threads", "1", "--port", str(one["port"]), "--drain-delay-ms", str(DRAIN_DELAY_MS),
                 "--snapshot-file", str(self.folder / name)], stdout=log, stderr=subprocess.STDOUT)
        until(f"{name} is ready", lambda: is_ready(one["port"]))

    def stop(self, name):
        running = self.caches[name]["process"]
        running.send_signal(signal.SIGTERM)
        self.assertEqual(running.wait(timeout=60), 0)

    def stop_all(self):
        for one in self.caches.values():
            one["process"].kill()
            one["process"].wait()

    def stored(self, name):
        since_start = json.loads(ask(self.caches[name]["port"], "GET", "/stats")[1])["since_start"]
        return since_start["puts"]

    def hits(self):
        return sum(1 for number in range(ENTRIES) if ask(self.port, "GET", f"/kv/kept{number}")[0] == 200)

    def test_restarts_lose_no_request_and_no_entry(self):
        for number in range(ENTRIES):
            self.assertEqual(ask(self.port, "PUT", f"/kv/kept{number}", b"value")[0], 201)
        script = self.folder / "put.lua"
        script.write_text(WRK)
        wrk = subprocess.Popen(["wrk", "-t2", "-c32", "-d600s", "--timeout=60s", "-s", script, f"http://127.0.0.1:{self.port}"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for name in "abab":
                other = "b" if name == "a" else "a"
                self.stop(name)
                before = self.stored(other)
                until("the other one serves all", lambda: self.stored(other) >= before + STORED_BETWEEN)
                self.start(name)
                self.assertIn("entries loaded", self.caches[name]["log"].read_text())
                until("HAProxy uses both", lambda: self.stored(name) >= STORED_BETWEEN)
                self.assertEqual(self.hits(), ENTRIES)
        finally:
            wrk.send_signal(signal.SIGINT)  # it prints its summary
            report = wrk.communicate(timeout=60)[0]
        self.assertGreater(int(re.search(r"(\d+) requests in", report)[1]), 8 * STORED_BETWEEN)
        self.assertNotIn("Socket errors", report)
        self.assertNotIn("Non-2xx", report)


if __name__ == "__main__":
    Deploy.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
