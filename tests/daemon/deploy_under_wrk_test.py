#!/usr/bin/env python3
"""With socket activation, restarts under full load lose no request and no entry.

    deploy_under_wrk_test.py KEYVALUE_CACHE

The test holds the listening socket, as systemd does, and passes it to one instance after the other while 64
connections of wrk saturate them. wrk must count no error of any kind, and the number of responses that it has received
must equal the sum of what the instances log at their end. Each instance loads what the one before has saved. A last connection is served through the real
systemd-socket-activate. Needs Debian's packages wrk and systemd.
"""

import contextlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import free_port, process, until

CONNECTIONS = 64
REQUESTS = 20_000  # of each instance
KEPT = 1_000  # entries that are stored once
INSTANCES = 3
DURATION = "600s"  # it is stopped before

# Executes its arguments with standard input as the passed socket. The variables are of the executed process, since
# the shell keeps its number.
PASS_SOCKET = 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<&0 0</dev/null'


def get(port, path):
    """A request on a connection of its own, which waits until it is served."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())


def batch(port, operations):
    """The codes of the results."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", "/batch", json.dumps({"ops": operations}))
        return [one["code"] for one in json.loads(connection.getresponse().read())["results"]]


def responses(log):
    gets, puts = re.search(r"stopped; responded to (\d+) GETs and (\d+) PUTs", log.read_text()).groups()
    return int(gets) + int(puts)


class Deploy(unittest.TestCase):
    program = ""  # set by main

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def serve(self, listening, log):
        """One instance on the socket, from its start under load to its end by SIGTERM."""
        command = ["sh", "-c", PASS_SOCKET, "sh", self.program, "--threads", "2", "--snapshot-file",
                   str(self.folder / "snapshot")]
        port = listening.getsockname()[1]
        with process(command, log, stdin=listening) as cache:
            self.check_kept(port, is_first=log.name == "cache.0.log")
            until("the load continues", lambda: get(port, "/stats")["since_start"]["puts"] >= REQUESTS)
            cache.send_signal(signal.SIGTERM)
            self.assertEqual(cache.wait(timeout=60), 0)

    def check_kept(self, port, is_first):
        if is_first:
            stored = batch(port, [{"op": "put", "key": f"kept{i}", "value": "v"} for i in range(KEPT)])
            self.assertEqual(set(stored), {200})
            return
        until("the snapshot is loaded", lambda: get(port, "/readyz")["status"] == "OK")
        self.assertEqual(set(batch(port, [{"op": "get", "key": f"kept{i}"} for i in range(KEPT)])), {200})

    def test_restarts_lose_no_request_of_wrk(self):
        self.assertIsNotNone(shutil.which("wrk"), "wrk is missing: install Debian's package")
        script = self.folder / "put.lua"
        script.write_text('wrk.method = "POST"\nwrk.body = \'{"key":"a","value":"b"}\'\n')
        logs = [self.folder / f"cache.{i}.log" for i in range(INSTANCES)]
        with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
            wrk = subprocess.Popen(["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{DURATION}", "--timeout=60s", "-s", script,
                                    f"http://127.0.0.1:{listening.getsockname()[1]}/put"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                for log in logs:
                    self.serve(listening, log)
            finally:
                wrk.send_signal(signal.SIGINT)  # it prints its summary
                report = wrk.communicate(timeout=60)[0]
        received = int(re.search(r"(\d+) requests in", report)[1])
        self.assertGreaterEqual(received, INSTANCES * REQUESTS)
        checks = KEPT * INSTANCES  # operations of check_kept()
        self.assertEqual(received, sum(responses(log) for log in logs) - checks, report)
        self.assertNotIn("Socket errors", report)
        self.assertNotIn("Non-2xx", report)

    def test_systemd_starts_it_with_the_first_connection(self):
        tool = shutil.which("systemd-socket-activate")
        self.assertIsNotNone(tool, "systemd-socket-activate is missing: install Debian's package systemd")
        port = free_port()
        log = self.folder / "cache.log"
        with process([tool, "-l", f"127.0.0.1:{port}", self.program, "--threads=1", "--port=1"], log) as cache:
            until("it listens", lambda: "Listening on" in log.read_text())
            self.assertNotIn("keyvalue-cache", log.read_text().replace(self.program, ""))
            configuration = get(port, "/stats")["configuration"]
            self.assertEqual((configuration["bind"], configuration["port"]), ("127.0.0.1", port))
            cache.send_signal(signal.SIGTERM)
            self.assertEqual(cache.wait(timeout=60), 0)
        self.assertIn("--port is ignored, since the service manager passed a socket", log.read_text())

    def test_systemd_cannot_pass_a_local_socket(self):
        address = self.folder / "socket"
        log = self.folder / "cache.log"
        with process(["systemd-socket-activate", "-l", str(address), self.program], log) as cache:
            until("it listens", lambda: "Listening on" in log.read_text())
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(address))
                self.assertEqual(cache.wait(timeout=60), 2)
        self.assertIn("the socket of LISTEN_FDS is not a TCP socket", log.read_text())


if __name__ == "__main__":
    Deploy.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
