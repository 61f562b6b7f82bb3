#!/usr/bin/env python3
"""No request makes the cache and HAProxy in front of it disagree about the end of a request.

    haproxy_desync_test.py KEYVALUE_CACHE

HAProxy sends the requests of all clients over one connection to the cache. An attacker sends each
vector of a table; after it, other clients must get the responses to their own requests. HAProxy runs
with its defaults, and configured to forward invalid requests, so that the cache must reject them.

Needs Debian's package haproxy.
"""

import http.client
import pathlib
import shutil
import socket
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import PATIENCE_S, daemon, free_port, process, until  # noqa: E402

CONFIG = """
global
    # With more threads, releases before 2024's may forget a client that queues for a full server just
    # as its last request ends: it gets a 503 after "timeout queue", which is unrelated to the cache.
    nbthread 1
    maxconn 200
    log stdout format raw local0 info
defaults
    mode http
    log global
    option httplog
    timeout client 20s
    timeout server 20s
    timeout connect 20s
    timeout http-request 20s
    timeout queue 20s
    retries 3
    # The cache has closed the shared connection after an error: no desynchronisation.
    retry-on conn-failure empty-response
frontend clients
    bind 127.0.0.1:{port}
    {leniency}
    default_backend cache
backend cache
    http-reuse always
    option accept-invalid-http-response
    server cache1 127.0.0.1:{backend} maxconn 1
"""

VICTIMS = 3  # in turn, each with another key

# ---- the vectors -----------------------------------------------------------------------------

HIDDEN = b"GET /get?key=hidden HTTP/1.1\r\nHost: a\r\n\r\n"  # the request to smuggle
PUT_BODY = b'{"key":"a","value":"b"}'
CHUNKED = b"Transfer-Encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n"


def post(fields, rest, version=b"1.1"):
    return b"POST /put HTTP/" + version + b"\r\nHost: a\r\n" + fields + b"\r\n\r\n" + rest


def get(fields, rest, target=b"/get?key=a"):
    return b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n" + rest


def length(number):
    return b"Content-Length: %d" % number


# Fields that only one of the two may treat as "Transfer-Encoding: chunked".
NEARLY_CHUNKED = [
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding:\tchunked", b"Transfer-Encoding:chunked ", b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked",
    b"Transfer-Encoding\r\n : chunked", b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding: chun\r\n ked", b"X: x\r\n Transfer-Encoding: chunked",
    b"X: x\nTransfer-Encoding: chunked", b"X: x\rTransfer-Encoding: chunked",
    b"Transfer_Encoding: chunked", b"Transfer-Encoding: CHUNKED",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding:\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: ,chunked,",
]

# Lengths that the two may parse differently; %d is the length of the following bytes.
NEARLY_LENGTHS = [
    b"Content-Length: 0\r\nContent-Length: %d", b"Content-Length: %d\r\nContent-Length: 0",
    b"Content-Length: 0, %d", b"Content-Length: %d, %d", b"Content-Length: +%d",
    b"Content-Length: -%d", b"Content-Length: 0x%x", b"Content-Length: 0%d",
    b"Content-Length: %d.0", b"Content-Length: %d\x0b", b"Content-Length: %d ",
    b"Content-Length: \x00%d", b"Content-Length : %d", b"Content-Length\t: %d",
    b"Content-Length:\r\n %d", b"Content-Length: \r\n\t%d", b"Content_Length: %d",
    b" Content-Length: %d", b"Content-Length: 18446744073709551616%d", b"Content-Length:",
]

CHUNKED_BODIES = [
    b"0\n\r\n", b"0\r\n\n", b"0\n\n", b"0;x\n\r\n", b"0;\n\r\n\r\n", b"0 \r\n\r\n", b" 0\r\n\r\n",
    b"0x0\r\n\r\n", b"-0\r\n\r\n", b"+0\r\n\r\n", b"\r\n0\r\n\r\n", b"0;a=\"\r\n\r\n",
    b"00000000000000000\r\n\r\n", b"10000000000000000\r\n", b"ffffffffffffffff\r\n",
    b"0\r\nX: y\n\r\n", b"0\r\nX y\r\n\r\n", b"0\r\n X: y\r\n\r\n", b"0\r\n" + b"X: y\r\n" * 20 + b"\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nContent-Length: 44\r\n\r\n",
    b"5\r\nhello0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n", b"2;\nxx\r\n2c\r\n0\r\n\r\n", b"2;\rxx\r\n2c\r\n0\r\n\r\n",
]


def vectors():
    both = LAST_CHUNK + HIDDEN
    yield post(length(len(both)) + b"\r\n" + CHUNKED, both)
    yield post(CHUNKED + b"\r\n" + length(len(both)), both)
    yield post(CHUNKED, both, b"1.0")
    for field in NEARLY_CHUNKED:
        yield post(field, both)
        yield post(length(len(both)) + b"\r\n" + field, both)
        yield post(field + b"\r\n" + length(len(both)), both)
    for field in NEARLY_LENGTHS:
        field = field % ((len(HIDDEN),) * field.count(b"%"))
        yield post(field, HIDDEN)
        yield get(field, HIDDEN)
    for body in CHUNKED_BODIES:
        yield post(CHUNKED, body + HIDDEN)
    whole = length(len(HIDDEN))
    # Bodies where none is expected, errors before one is read, upgrades, hop-by-hop lengths.
    yield get(whole, HIDDEN)
    yield get(whole, HIDDEN, b"/nowhere")
    yield get(CHUNKED, both)
    yield b"HEAD /get?key=a HTTP/1.1\r\nHost: a\r\n" + whole + b"\r\n\r\n" + HIDDEN
    yield b"HEAD /get?key=a HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN
    yield b"OPTIONS /put HTTP/1.1\r\nHost: a\r\n" + whole + b"\r\n\r\n" + HIDDEN
    yield b"DELETE /put HTTP/1.1\r\nHost: a\r\n" + whole + b"\r\n\r\n" + HIDDEN
    yield b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + HIDDEN
    yield b"TRACE /get HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN
    yield post(whole, HIDDEN, b"1.0")
    yield post(whole + b"\r\nExpect: 100-continue", HIDDEN)
    yield post(whole + b"\r\nExpect: nonsense", HIDDEN)
    yield post(b"Expect: 100-continue\r\n" + CHUNKED, both)
    yield post(b"Content-Length: 20000", HIDDEN * 3)
    yield post(length(len(PUT_BODY)) + b"\r\nConnection: Content-Length", PUT_BODY + HIDDEN)
    yield post(CHUNKED + b"\r\nConnection: Transfer-Encoding", both)
    yield get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
              HIDDEN)
    yield get(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13", HIDDEN)
    yield get(b"X: x\r\n\x00\r\n", HIDDEN)
    yield get(b"X: " + b"x" * 15000, HIDDEN)
    yield b"\r\n\r\n" + HIDDEN
    yield b"GET /get?key=a\r\n\r\n" + HIDDEN
    yield b"GET http://b/get?key=a HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN
    yield b"GET /get?key=a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + HIDDEN


# ---- a server that reads no bodies ------------------------------------------------------------


def serve_without_bodies(listening):
    """Treats a body as the next request, and responds to that after another request."""
    while True:
        try:
            peer, _ = listening.accept()
        except OSError:  # the test has ended
            return
        with peer:
            unanswered = b""
            while piece := peer.recv(65536):
                unanswered += piece
                while any(b"hidden" not in head for head in unanswered.split(b"\r\n\r\n")[:-1]):
                    head, _, unanswered = unanswered.partition(b"\r\n\r\n")
                    key = head.split(b"key=")[1].split()[0]
                    body = b'{"status":"OK","key":"%s","value":"%s"}' % (
                        key, key.replace(b"victim", b"value"))
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                                 % (len(body), body))


# ---- the test --------------------------------------------------------------------------------


def exchange(port, request):
    """Sends the request, shuts down the write side, and returns all bytes until close or reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        got = b""
        try:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                got += piece
        except ConnectionError:
            pass
        return got


class Desync(unittest.TestCase):
    program = ""  # set by main

    def setUp(self):
        self.assertIsNotNone(shutil.which("haproxy"), "haproxy is missing: install Debian's package")
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.backend = self.enterContext(daemon(self.program, self.folder / "cache.log"))
        for number in range(VICTIMS):
            self.put(f"victim{number}", f"value{number}")
        self.put("hidden", "HIDDEN")

    def request_of_cache(self, method, target, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.backend.port, timeout=PATIENCE_S)
        try:
            connection.request(method, target, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def put(self, key, value):
        self.assertEqual(
            self.request_of_cache("POST", "/put", f'{{"key":"{key}","value":"{value}"}}')[0], 200)

    def metric(self, name):
        line, = [line for line in self.request_of_cache("GET", "/metrics")[1].splitlines()
                 if line.startswith(name + " ")]
        return float(line.split()[1])

    def start_proxy(self, leniency, backend_port=None):
        port = free_port()
        config = self.folder / "haproxy.cfg"
        config.write_text(CONFIG.format(port=port, backend=backend_port or self.backend.port,
                                        leniency=leniency))
        log = self.folder / "haproxy.log"
        proxy = self.enterContext(process(["haproxy", "-db", "-f", str(config)], log))

        def serves():
            assert proxy.poll() is None, log.read_text()
            try:
                return exchange(port, get(b"X: x", b"", b"/get?key=none"))
            except ConnectionError:
                return False

        until("the proxy serves", serves)
        return port

    def expect_own_reply(self, port, number, after):
        reply = exchange(port, get(b"Connection: close", b"", b"/get?key=victim%d" % number))
        head, _, body = reply.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            log = (self.folder / "haproxy.log").read_text(errors="replace")
            self.fail(f"after {after}: {reply}\n{log[-2000:]}")
        self.assertEqual(body, b'{"status":"OK","key":"victim%d","value":"value%d"}'
                         % (number, number), (after, reply))

    def expect_no_desync(self, leniency):
        port = self.start_proxy(leniency)
        sent = 0
        for sent, vector in enumerate(vectors(), 1):
            exchange(port, vector)
            for victim in range(2):  # the second may be affected if the first is not
                self.expect_own_reply(port, (sent + victim) % VICTIMS, vector[:200])
        self.assertGreater(sent, 100)
        self.assertIsNone(self.backend.process.poll(), "the cache has ended")

    def test_clients_behind_haproxy_get_their_own_responses(self):
        self.expect_no_desync("")

    def test_clients_get_their_own_responses_if_haproxy_forwards_invalid_requests(self):
        self.expect_no_desync("option accept-invalid-http-request")

    def test_a_server_that_can_be_desynchronised_is_found(self):
        with socket.create_server(("127.0.0.1", 0)) as gullible:
            serving = threading.Thread(target=serve_without_bodies, args=(gullible,), daemon=True)
            serving.start()
            port = self.start_proxy("", gullible.getsockname()[1])
            self.expect_own_reply(port, 1, "nothing")
            exchange(port, get(length(len(HIDDEN)), HIDDEN))
            with self.assertRaises(AssertionError) as failure:
                self.expect_own_reply(port, 1, "a hidden request")
            self.assertIn("hidden", str(failure.exception))

    def test_victims_share_the_connection_of_the_attacker(self):
        port = self.start_proxy("")
        before = self.metric("keyvalue_cache_connections_opened_total")
        for number in range(20):
            exchange(port, post(length(len(PUT_BODY)), PUT_BODY))
            self.expect_own_reply(port, number % VICTIMS, "a PUT")
        # At most one is the shared connection; the others belong to this test.
        self.assertLessEqual(self.metric("keyvalue_cache_connections_opened_total") - before, 2)


if __name__ == "__main__":
    Desync.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
