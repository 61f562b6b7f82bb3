#!/usr/bin/env python3
"""HAProxy of the cluster responds with JSON, hides internal endpoints, passes tokens and large values, and follows names.

    proxy_test.py KEYVALUE_CACHE

Needs Debian's packages haproxy and openssl.
"""

import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import unittest

from cluster import CLUSTER, NODES, Client, Proxy, Setup, kv, needs, request_bytes
from running import PATIENCE_S, free_port, until

# Every status that HAProxy itself returns (its manual, "http-error").
OWN_STATUSES = (400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504)

LARGE_BYTES = 64 << 20  # the most that --max-value-bytes allows


class Case(Setup, unittest.TestCase):
    def assert_own_error(self, reply, status):
        self.assertEqual((reply.status, reply.node), (status, None))
        shown = json.loads(reply.body)
        self.assertEqual((shown["status"], set(shown)), ("ERROR", {"status", "message"}))
        self.assertEqual(reply.field("content-type"), "application/json")
        self.assertEqual(reply.field("cache-control"), "no-store")
        self.assertEqual(reply.field("retry-after"), "1" if status == 503 else None)


class Responses(Case):
    @classmethod
    def setUpClass(cls):
        cls.enterContext, cls.addCleanup = cls.enterClassContext, cls.addClassCleanup
        cls.folder = cls.open_folder(cls)
        cls.nodes = cls.start_nodes(cls, cls.folder, 2)
        cls.own_port = free_port()
        own = f"frontend own from cluster\n    bind 127.0.0.1:{cls.own_port}\n" + "".join(
            f"    http-request deny deny_status {status} if {{ path /{status} }}\n" for status in OWN_STATUSES)
        cls.proxy = cls.enterContext(Proxy(cls.folder, nodes_text=own + NODES).run(cls.nodes))

    @classmethod
    def tearDownClass(cls):
        del cls.enterContext, cls.addCleanup

    def request(self, method, target, body=b"", port=None):
        with Client(port or self.proxy.port) as client:
            return client.request(method, target, body)

    def test_every_error_of_its_own_is_json(self):
        for status in OWN_STATUSES:
            with self.subTest(status):
                self.assert_own_error(self.request("GET", f"/{status}", port=self.own_port), status)
        print(f"{len(OWN_STATUSES)} statuses")

    def test_a_batch_is_refused_with_the_reason(self):
        reply = self.request("POST", "/batch", b'{"ops":[]}')
        self.assert_own_error(reply, 501)
        self.assertIn("batch", json.loads(reply.body)["message"])
        named = re.search(r"docker/cluster/\S+\.md", json.loads(reply.body)["message"])[0]
        self.assertTrue((CLUSTER.parents[1] / named).is_file())

    def test_internal_endpoints_are_hidden(self):
        targets = ("/", "/metrics", "/stats", "/healthz", "/readyz", "/flush", "/snapshot", "/getx", "/x/get", "/kv", "//kv/a",
                   "/kv%2Fa", "/%6Bv/a", "/put/", "/get/")
        for method in ("GET", "POST"):
            for target in targets:
                with self.subTest(target, method=method):
                    self.assert_own_error(self.request(method, target), 404)
        with Client(self.proxy.port) as client:
            client.send(request_bytes("OPTIONS", "*"))
            self.assert_own_error(client.receive(), 404)

    def test_the_document_is_served(self):
        self.assertEqual(self.request("GET", "/openapi.json").status, 200)

    def test_requests_without_a_key_go_to_all_nodes(self):
        served = {self.request("POST", "/put", b"no JSON").node for _ in range(8)}
        self.assertEqual(served, {1, 2})

    def test_a_body_that_does_not_arrive_is_answered_by_the_proxy(self):
        with Client(self.proxy.port) as client:
            client.send(b"POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Length: 23\r\n\r\n{")
            self.assert_own_error(client.receive(), 408)

    def test_a_value_is_passed_on_before_it_has_arrived(self):
        self.assertIn(self.request("PUT", "/kv/present", b"v").status, (201, 204))
        with Client(self.proxy.port) as client:
            client.send(b"PUT /kv/present HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n"
                        b"Content-Length: 500000\r\n\r\n")
            reply = client.receive()  # of the node, which needs the head only
            self.assertEqual((reply.status, reply.node is None), (412, False))

    def test_other_methods_wait_for_no_body(self):
        self.assertEqual(self.request("GET", "/put").status, 405)
        self.assertEqual(self.request("HEAD", "/get?key=none").status, 404)

    def test_a_client_that_waits_for_permission_to_continue_gets_it(self):
        for method, target, body in (("POST", "/put", b'{"key":"e","value":"v"}'), ("PUT", "/kv/e", b"v")):
            with Client(self.proxy.port) as client:
                head, _, _ = request_bytes(method, target, body, "Expect: 100-continue\r\n").partition(b"\r\n\r\n")
                client.send(head + b"\r\n\r\n")
                self.assertEqual(client.receive(has_body=False).status, 100)
                client.send(body)
                self.assertIn(client.receive().status, (200, 204))

    def test_statistics_and_metrics_have_a_port_of_their_own(self):
        metrics = self.request("GET", "/metrics", port=self.proxy.statistics_port)
        self.assertEqual(metrics.status, 200)
        for number in (1, 2):
            self.assertRegex(metrics.body.decode(),
                             rf'(?m)^haproxy_server_status{{proxy="nodes",server="node{number}",state="UP"}} 1$')
        with Client(self.proxy.statistics_port) as client:  # closed at the end of the page
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            self.assertIn(b"Statistics Report", client.received.read())

    def test_counters_pass(self):
        values = [json.loads(self.request("POST", f"/kv/counter?op=incr{more}").body)["value"] for more in ("&initial=4", "")]
        self.assertEqual(int(values[1]), int(values[0]) + 1)


class Streams(Case):
    def test_a_value_of_64_mib_streams_both_ways(self):
        folder = self.open_folder()
        nodes = self.start_nodes(folder, 2, "--max-value-bytes", "64M")
        proxy = self.enterContext(Proxy(folder).run(nodes))
        worker, = proxy.workers()

        def resident_mib():
            return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{worker}/status").read_text())[1]) / 1024

        before = resident_mib()
        value = os.urandom(1 << 20) * (LARGE_BYTES >> 20)
        with Client(proxy.port) as client:
            self.assertEqual(client.request("PUT", "/kv/large", value).status, 201)
            reply = client.request("GET", "/kv/large")
        self.assertEqual(reply.status, 200)
        self.assertTrue(reply.body == value)
        grown = resident_mib() - before
        print(f"{LARGE_BYTES >> 20} MiB stored and read; the memory of HAProxy grew by at most {grown:.1f} MiB")
        self.assertLess(grown, 16)


class Tls(Case):
    def test_applications_use_tls_and_tokens_pass(self):
        needs("openssl")
        folder = self.open_folder()
        certificate, both = folder / "cert.pem", folder / "both.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", certificate],
                       check=True, capture_output=True)
        both.write_text(certificate.read_text() + (folder / "key.pem").read_text())
        tokens = folder / "tokens"
        tokens.write_text("read-write token-of-the-test-0123456789\n")
        tokens.chmod(0o600)
        nodes = self.start_nodes(folder, 2, "--auth-token-file", str(tokens))
        tls_port = free_port()
        proxy = Proxy(folder, KVCACHE_TLS_PEM=str(both), KVCACHE_TLS_BIND=f"127.0.0.1:{tls_port}",
                      KVCACHE_TOKEN="token-of-the-test-0123456789")
        context = ssl.create_default_context(cafile=str(certificate))

        def request(method, target, token, body=None):
            connection = http.client.HTTPSConnection("localhost", tls_port, timeout=PATIENCE_S, context=context)
            try:
                connection.request(method, target, body, {"Authorization": f"Bearer {token}"} if token else {})
                reply = connection.getresponse()
                return reply.status, reply.read(), reply
            finally:
                connection.close()

        def serves():
            try:
                return request("GET", "/kv/none", "token-of-the-test-0123456789")[0] == 404
            except OSError:
                return False

        proxy.is_serving = serves
        self.enterContext(proxy.run(nodes))
        self.assertEqual(request("PUT", "/kv/a", None, b"v")[0], 401)
        self.assertEqual(request("PUT", "/kv/a", "wrong-token-0123456789", b"v")[0], 401)
        self.assertEqual(request("PUT", "/kv/a", "token-of-the-test-0123456789", b"v")[0], 201)
        status, body, reply = request("GET", "/get?key=a", "token-of-the-test-0123456789")
        self.assertEqual((status, json.loads(body)["value"]), (200, "v"))
        self.assertIn("max-age", reply.getheader("Strict-Transport-Security"))
        with self.assertRaises(OSError), Client(proxy.port) as client:  # not without TLS
            client.request("GET", "/kv/a")

        nodes[0].end()
        until("the node is taken out", lambda: proxy.states()[1].startswith("MAINT"))
        nodes[0].start()
        until("the node returns, flushed with the token", lambda: proxy.states()[1].startswith("UP"))


class NameServer:
    """Answers queries for A records over UDP with the addresses that it is given."""

    def __init__(self, addresses):
        self.addresses = addresses
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            if not query:
                return
            name = query[13:13 + query[12]].decode()
            end = query.index(b"\0", 12) + 5
            kind, = struct.unpack(">H", query[end - 4:end - 2])
            address = self.addresses.get(name) if kind == 1 else None
            answer = struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address) if address else b""
            code = 0x8180 if name in self.addresses else 0x8183  # NXDOMAIN
            head = query[:2] + struct.pack(">HHHHH", code, 1, 1 if address else 0, 0, 0)
            self.socket.sendto(head + query[12:end] + answer, client)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


class Names(Case):
    def test_a_node_is_found_by_its_name_at_another_address_and_flushed_once_it_has_a_name_again(self):
        folder = self.open_folder()
        nodes = self.start_nodes(folder, 2)
        names = NameServer({"cache1": "127.0.0.1", "cache2": "127.0.0.1"})
        self.addCleanup(names.close)
        text = (CLUSTER / "nodes-by-name.cfg").read_text()
        self.assertIn("    parse-resolv-conf\n", text)
        text = text.replace("    parse-resolv-conf\n", f"    nameserver test 127.0.0.1:{names.port}\n    hold nx 1s\n")
        text = re.sub(r"    server node3 .*\n", "", text)
        proxy = Proxy(folder, nodes_text=text, **{f"KVCACHE_NODE{node.number}": f"cache{node.number}:{node.port}"
                                                  for node in nodes})
        self.enterContext(proxy.run([]))
        until("both names are resolved", lambda: all(state.startswith("UP") for state in proxy.states().values()))
        moved = nodes[1]
        moved.end()
        until("the node is taken out", lambda: proxy.states()[2].startswith("MAINT"))
        moved.options = ("--enable-flush", "--bind", "127.0.0.2")
        moved.is_ready = lambda: True
        moved.start()
        names.addresses["cache2"] = "127.0.0.2"
        until("the node serves at its new address", lambda: proxy.states()[2].startswith("UP"))

        with Client(moved.port, "127.0.0.2") as client:
            self.assertEqual(client.request("PUT", "/kv/a", b"old").status, 201)
            del names.addresses["cache2"]
            until("the node is taken out", lambda: proxy.states()[2].startswith("MAINT"))
            names.addresses["cache2"] = "127.0.0.2"
            until("the node serves again", lambda: proxy.states()[2].startswith("UP"))
            self.assertEqual(client.request("GET", "/kv/a").status, 404)


if __name__ == "__main__":
    Case.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
