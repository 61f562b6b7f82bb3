#!/usr/bin/env python3
"""The HAProxy example serves the cache over TLS, keeps the inside in, and notices a drain.

    haproxy_test.py KEYVALUE_CACHE

Needs Debian's packages haproxy and openssl.
"""

import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

from running import PATIENCE_S, daemon, free_port, process, until

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "docker/haproxy/haproxy.cfg"

DRAIN_DELAY_MS = "3000"  # as the example asks for


class Proxy(unittest.TestCase):
    program = ""  # set by main

    def setUp(self):
        for tool in ("haproxy", "openssl"):
            self.assertIsNotNone(shutil.which(tool), f"{tool} is missing: install Debian's package")
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        certificate = folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", folder / "key.pem", "-out", certificate],
                       check=True, capture_output=True)
        both = folder / "both.pem"
        both.write_text(certificate.read_text() + (folder / "key.pem").read_text())
        self.tls = ssl.create_default_context(cafile=str(certificate))

        self.backend = self.enterContext(
            daemon(self.program, folder / "cache.log", "--drain-delay-ms", DRAIN_DELAY_MS))
        self.port = free_port()
        environment = {**os.environ, "KVCACHE_TLS_PEM": str(both),
                       "KVCACHE_TLS_BIND": f"127.0.0.1:{self.port}",
                       "KVCACHE_BACKEND": f"127.0.0.1:{self.backend.port}"}
        proxy = self.enterContext(process(["haproxy", "-db", "-f", str(EXAMPLE)],
                                          folder / "haproxy.log", env=environment))

        def in_service():
            assert proxy.poll() is None, (folder / "haproxy.log").read_text()
            return self.status("/get?key=none") == 404

        until("the proxy has found the cache ready", in_service)

    def ask(self, method, target, body=None, headers=None):
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=10,
                                                 context=self.tls)
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer
        finally:
            connection.close()

    def status(self, target):
        try:
            return self.ask("GET", target)[0]
        except (ConnectionError, socket.timeout):
            return None

    def test_puts_and_gets_over_tls(self):
        put = json.dumps({"key": "päth", "value": "a \"b\" \u0000 😀"})
        self.assertEqual(self.ask("POST", "/put", put)[0], 200)
        status, body, answer = self.ask("GET", "/get?key=p%C3%A4th")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["value"], "a \"b\" \u0000 😀")
        self.assertIn("max-age", answer.getheader("Strict-Transport-Security"))

    def test_a_page_of_the_same_origin_may_write_and_another_may_not(self):
        put = json.dumps({"key": "a", "value": "b"})
        own = {"Origin": f"https://localhost:{self.port}"}
        self.assertEqual(self.ask("POST", "/put", put, own)[0], 200)
        other = {"Origin": "https://elsewhere.example"}
        self.assertEqual(self.ask("POST", "/put", put, other)[0], 403)

    def test_keeps_the_inside_in(self):
        for target in ("/metrics", "/stats", "/healthz", "/readyz", "/flush"):
            with self.subTest(target):
                status, body, _ = self.ask("GET", target)
                self.assertEqual((status, json.loads(body)["status"]), (404, "ERROR"))

    def test_lets_no_body_that_does_not_come_reach_the_cache(self):
        with socket.create_connection(("localhost", self.port), timeout=PATIENCE_S) as plain, \
                self.tls.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Length: 23\r\n\r\n{")
            self.assertIn(b" 408 ", client.recv(4096).split(b"\r\n")[0])
        # The cache would have refused it, too, and counted that.
        figures = http.client.HTTPConnection("localhost", self.backend.port, timeout=PATIENCE_S)
        figures.request("GET", "/stats")
        stats = json.loads(figures.getresponse().read())
        figures.close()
        self.assertEqual(stats["since_start"]["refused"], {})

    def test_sends_nothing_to_a_cache_that_drains(self):
        self.backend.process.terminate()
        until("the proxy answers 503 by itself", lambda: self.status("/get?key=none") == 503)
        self.assertIsNone(self.backend.process.poll(), "the cache still accepted meanwhile")


if __name__ == "__main__":
    Proxy.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
