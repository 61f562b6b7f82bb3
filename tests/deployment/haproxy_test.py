#!/usr/bin/env python3
"""The HAProxy example serves the cache over TLS, hides internal endpoints, responds with JSON, and follows a drain.

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
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from proxies import INTERNAL, application_requests  # noqa: E402
from running import PATIENCE_S, daemon, free_port, process, until  # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "docker/haproxy/haproxy.cfg"

DRAIN_DELAY_MS = "3000"  # as the example requires

# Every status that HAProxy itself returns (its manual, "http-error").
OWN_STATUSES = (400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504)


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
        self.own_port = free_port()
        environment = {**os.environ, "KVCACHE_TLS_PEM": str(both),
                       "KVCACHE_TLS_BIND": f"127.0.0.1:{self.port}",
                       "KVCACHE_BACKEND": f"127.0.0.1:{self.backend.port}"}
        # The defaults of the example also apply to this frontend: it responds to /503 with HAProxy's own 503.
        own = folder / "own.cfg"
        own.write_text(f"frontend own\n    bind 127.0.0.1:{self.own_port}\n" + "".join(
            f"    http-request deny deny_status {status} if {{ path /{status} }}\n" for status in OWN_STATUSES))
        proxy = self.enterContext(process(["haproxy", "-db", "-f", str(EXAMPLE), "-f", str(own)],
                                          folder / "haproxy.log", env=environment))

        def in_service():
            assert proxy.poll() is None, (folder / "haproxy.log").read_text()
            return self.status("/get?key=none") == 404

        until("the proxy has found the cache ready", in_service)

    def request(self, method, target, body=None, headers=None):
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
            return self.request("GET", target)[0]
        except (ConnectionError, socket.timeout):
            return None

    def test_puts_and_gets_over_tls(self):
        put = json.dumps({"key": "päth", "value": "a \"b\" \u0000 😀"})
        self.assertEqual(self.request("POST", "/put", put)[0], 200)
        status, body, answer = self.request("GET", "/get?key=p%C3%A4th")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["value"], "a \"b\" \u0000 😀")
        self.assertIn("max-age", answer.getheader("Strict-Transport-Security"))

    def test_a_page_of_the_same_origin_may_write_and_another_may_not(self):
        put = json.dumps({"key": "a", "value": "b"})
        own = {"Origin": f"https://localhost:{self.port}"}
        self.assertEqual(self.request("POST", "/put", put, own)[0], 200)
        other = {"Origin": "https://elsewhere.example"}
        self.assertEqual(self.request("POST", "/put", put, other)[0], 403)

    def test_keys_in_paths_arrive_as_they_were_sent(self):
        for path in ("a%2Fb", "a%252Fb", "100%25", "a//b", "/a", "a+b", "a%20b", "caf%C3%A9", "../a", "a/../b", "./a",
                     "a/%2E%2E/b", "%00"):
            with self.subTest(path):
                key = urllib.parse.unquote(path)
                self.assertEqual(self.request("PUT", f"/kv/{path}", key.encode())[0], 201)
                status, body, _ = self.request("GET", f"/get?key={urllib.parse.quote_plus(key)}")
                self.assertEqual((status, json.loads(body)["value"]), (200, key))
                self.assertEqual(self.request("GET", f"/kv/{path}")[:2], (200, key.encode()))
                self.assertEqual(self.request("DELETE", f"/kv/{path}")[0], 204)

    def test_values_up_to_the_limit_pass(self):
        value = bytes(1 << 20)
        self.assertEqual(self.request("PUT", "/kv/large", value)[0], 201)
        self.assertEqual(self.request("GET", "/kv/large")[:2], (200, value))

    def test_exposes_the_endpoints_of_applications_only(self):
        for method, target in application_requests(json.loads(self.request("GET", "/openapi.json")[1])):
            self.assertEqual(self.request(method, target)[0], 400, target)
        for target in INTERNAL:
            with self.subTest(target):
                status, body, _ = self.request("GET", target)
                self.assertEqual((status, json.loads(body)["status"]), (404, "ERROR"))

    def assert_own_error(self, status, body, answer):
        shown = json.loads(body)
        self.assertEqual((shown["status"], set(shown)), ("ERROR", {"status", "message"}))
        self.assertEqual(answer.getheader("Content-Type"), "application/json")
        self.assertEqual(answer.getheader("Cache-Control"), "no-store")
        self.assertEqual(answer.getheader("Retry-After"), "1" if status == 503 else None)

    def test_responds_with_json_for_every_status_of_its_own(self):
        for status in OWN_STATUSES:
            with self.subTest(status):
                connection = http.client.HTTPConnection("localhost", self.own_port, timeout=PATIENCE_S)
                connection.request("GET", f"/{status}")
                answer = connection.getresponse()
                self.assertEqual(answer.status, status)
                self.assert_own_error(status, answer.read(), answer)
                connection.close()

    def test_rejects_unparsable_requests_with_its_built_in_message(self):
        with socket.create_connection(("localhost", self.port), timeout=PATIENCE_S) as plain, \
                self.tls.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"GET /get?key=a HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
            # The parser of HAProxy has a fixed message, which no configuration replaces.
            self.assertIn(b" 400 ", client.recv(4096).split(b"\r\n")[0])

    def test_does_not_forward_a_body_that_does_not_arrive(self):
        with socket.create_connection(("localhost", self.port), timeout=PATIENCE_S) as plain, \
                self.tls.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Length: 23\r\n\r\n{")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            self.assertEqual(answer.status, 408)
            self.assert_own_error(408, answer.read(), answer)
        # The cache would also have rejected it, and counted that.
        figures = http.client.HTTPConnection("localhost", self.backend.port, timeout=PATIENCE_S)
        figures.request("GET", "/stats")
        stats = json.loads(figures.getresponse().read())
        figures.close()
        self.assertEqual(stats["since_start"]["refused"], {})

    def test_sends_no_request_to_a_draining_cache(self):
        self.backend.process.terminate()
        until("the proxy answers 503 by itself", lambda: self.status("/get?key=none") == 503)
        self.assert_own_error(*self.request("GET", "/get?key=none"))
        self.assertIsNone(self.backend.process.poll(), "the cache still accepted meanwhile")

    def test_responds_with_json_while_the_cache_is_down(self):
        self.backend.process.kill()
        until("the proxy answers 503 by itself", lambda: self.status("/get?key=none") == 503)
        self.assert_own_error(*self.request("GET", "/get?key=none"))


if __name__ == "__main__":
    Proxy.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
