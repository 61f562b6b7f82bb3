#!/usr/bin/env python3
"""HAProxy sends every request of a key to the same node, however the request names the key.

    keys_test.py KEYVALUE_CACHE

Bodies of /put as awkward as JSON permits, valid and invalid, go to the cluster and to a single cache. Both must respond
alike. What was stored must be found under /kv/ and /get, on the node that stored it. Needs Debian's package haproxy.
"""

import json
import random
import re
import sys
import unittest
import urllib.parse

from cluster import CLUSTER, CONFIG, Client, Proxy, Setup, example_client, kv, owners_of, request_bytes, ring_options

BODIES = 12_000
KEYS = 10_000

ALPHABET = ["a", "Z", "0", " ", "/", "\\", '"', "\n", "\t", "\b", "\f", "\r", "\x01", "\x1f", "\x7f", "+", "%", "&", "=",
            ";", "?", "#", ".", "{", "}", "[", "]", ",", ":", "é", "ß", "\u0080", "\u07ff", "\u0800", "€", "\ud7ff",
            "\ue000", "\ufeff", "\uffff", "\U00010000", "😀", "\U0010ffff", "\x00", "u", "n", "\\u0041", "\\n", "key"]
SHORT = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\", "/": "\\/"}


class Bodies:
    """Random bodies of /put."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, most=12):
        length = self.random.choice((1, 1, 2, 3, 5, 8, most))
        return "".join(self.random.choice(ALPHABET) for _ in range(length))

    def unicode_escape(self, char):
        units = char.encode("utf-16-be").hex()
        escaped = "".join(f"\\u{units[at:at + 4]}" for at in range(0, len(units), 4))
        return self.random.choice((escaped, re.sub("[a-f]", lambda digit: digit[0].upper(), escaped)))

    def string(self, text):
        """The text in one of its many spellings."""
        written = []
        for char in text:
            choice = self.random.random()
            if choice < 0.3:
                written.append(self.unicode_escape(char))
            elif char in SHORT and (char != "/" or choice < 0.6):
                written.append(SHORT[char])
            elif char < " ":
                written.append(self.unicode_escape(char))
            else:
                written.append(char)
        return '"' + "".join(written) + '"'

    def space(self):
        return "".join(self.random.choice(" \t\r\n") for _ in range(self.random.choice((0, 0, 0, 1, 3))))

    def other_value(self, depth=0):
        kind = self.random.randrange(8 if depth < 4 else 6)
        if kind == 6:
            return "[" + ",".join(self.space() + self.other_value(depth + 1) for _ in range(self.random.randrange(4))) + "]"
        if kind == 7:
            names = [self.random.choice(('"key"', self.string(self.text()))) for _ in range(self.random.randrange(4))]
            return "{" + ",".join(f"{name}:{self.other_value(depth + 1)}" for name in names) + "}"
        return self.random.choice(("null", "true", "false", "0", "-1.5e+30", "1e999", '""', self.string(self.text()),
                                   '"}"', '"]"', '"\\""', '"\\\\"', '"\\"key\\":\\"x\\""'))

    def valid(self, key, value):
        members = [(self.random.choice(('"key"', self.string("key"))), self.string(key)),
                   (self.random.choice(('"value"', self.string("value"))), self.string(value))]
        for _ in range(self.random.choice((0, 0, 1, 2, 4))):
            name = self.random.choice(("Key", "keys", "ke", "", "key ", "key\x00", "\\u006bey", self.text()))
            if name not in ("key", "value", "ttl"):
                members.append((self.string(name), self.other_value()))
        self.random.shuffle(members)
        text = ",".join(f"{self.space()}{name}{self.space()}:{self.space()}{content}{self.space()}"
                        for name, content in members)
        return f"{self.space()}{{{text}}}{self.space()}".encode("utf-8", "surrogatepass")

    def invalid(self, key, value):
        body = self.valid(key, value)
        kind = self.random.randrange(12)
        at = self.random.randrange(len(body))
        if kind == 0:
            return body[:at]
        if kind == 1:
            return body[:at] + bytes([self.random.randrange(256)]) + body[at:]
        if kind == 2:
            return body[:at] + bytes([self.random.randrange(256)]) + body[at + 1:]
        return (b"", b"\xef\xbb\xbf" + body, b'{"key":"\\ud800","value":"v"}', b'{"key":"\\udc00\\ud800","value":"v"}',
                b'{"key":"a","key":"b","value":"v"}', b'{"key":"a","\\u006bey":"b","value":"v"}',
                b'{"key":1,"value":"v"}', b'{"key":"","value":"v"}', b'[{"key":"a","value":"v"}]',
                b'{"key":"\xff\xfe","value":"v"}', b'{"key":"' + b"k" * 257 + b'","value":"v"}',
                b'{"value":"v"}', b"[" * 4000, b'{"a":' + b"[" * 4000 + b'"key":"b"', b'{"key":"\\', b'{"key":"\\u12',
                b'{"key":"a\x00b","value":"v"}', b'{"key":"\xed\xa0\x80","value":"v"}')[self.random.randrange(18)]


def form_spellings(key, spelling):
    """The query of /get for a key, written in one of several ways."""
    plain = urllib.parse.quote(key, safe="")
    encoded = "".join(f"%{byte:02x}" for byte in key)
    queries = (f"key={plain}", f"key={encoded}", f"key={urllib.parse.quote_plus(key, safe=';:/?')}", f"a=b&key={plain}",
               f"key={plain}&x=%3D", f"%6b%65y={plain}", f"&&key={plain}&", f"k=key&keys=1&%6Bey={encoded}&key2=2")
    return queries[spelling % len(queries)]


def key_members(body):
    """The keys that a body names, in order; None where it is no JSON object."""
    try:
        pairs = json.loads(body.decode(), object_pairs_hook=list)
        return [value for name, value in pairs if name == "key"]
    except (ValueError, TypeError, RecursionError):
        return None


class Keys(Setup, unittest.TestCase):
    def setUp(self):
        self.folder = self.open_folder()
        *self.nodes, self.single = self.start_nodes(self.folder, 4)
        self.proxy = self.enterContext(Proxy(self.folder).run(self.nodes))

    def test_a_key_stored_by_any_api_is_found_by_every_other(self):
        bodies = Bodies(29)
        sent = []
        for number in range(BODIES):
            make = bodies.invalid if number % 5 == 4 else bodies.valid
            key = f"{number % 2000:x}{bodies.text()}" if number % 3 else bodies.text()
            sent.append(make(key, f"{number}"))
        puts = [request_bytes("POST", "/put", body) for body in sent]
        refused = stored = 0
        counts = dict.fromkeys((1, 2, 3), 0)
        with Client(self.proxy.port) as client, Client(self.single.port) as direct:
            expected = direct.pipeline(puts)
            for start in range(0, BODIES, 100):
                slots = range(start, min(start + 100, BODIES))
                replies = client.pipeline([puts[slot] for slot in slots])
                found = {}
                for slot, reply in zip(slots, replies, strict=True):
                    self.assertEqual((reply.status, reply.body), (expected[slot].status, expected[slot].body), sent[slot])
                    if reply.status != 200:
                        self.assertEqual(reply.status, 400)
                        refused += 1
                        continue
                    stored += 1
                    counts[reply.node] += 1
                    key = key_members(sent[slot])[0].encode()
                    found[key] = (reply.node, json.loads(sent[slot])["value"], slot)
                reads = [(key, request_bytes("GET", target)) for key, (_, _, slot) in found.items()
                         for target in (kv(key), f"/get?{form_spellings(key, slot)}")]
                for (key, asked), reply in zip(reads, client.pipeline([asked for _, asked in reads]), strict=True):
                    node, value, slot = found[key]
                    self.assertEqual((reply.status, reply.node), (200, node), (sent[slot], asked))
                    is_json = reply.body.startswith(b"{")
                    self.assertEqual(json.loads(reply.body)["value"] if is_json else reply.body.decode(), value)
        print(f"{BODIES} bodies: {stored} stored and found by /kv/ and /get, {refused} refused alike; by node: {counts}")
        self.assertGreater(stored, BODIES * 3 // 4)
        self.assertGreater(refused, BODIES // 10)

    def test_a_key_stored_under_kv_is_read_and_deleted_by_json(self):
        bodies = Bodies(7)
        special = (b"k" * 256, "😀".encode() * 256, b"\x00", b"\x00\x00", b"+", b" ", b"%2F", b"%", b"a;b", b"a?b=c", b"//", b"..")
        keys = sorted({bodies.text().encode() for _ in range(1500)} | set(special))
        with Client(self.proxy.port) as client:
            puts = client.pipeline([request_bytes("PUT", kv(key), b"v") for key in keys])
            self.assertLessEqual({reply.status for reply in puts}, {201, 204})
            texts = [bodies.string(key.decode()).encode() for key in keys]
            deletes = client.pipeline([request_bytes("POST", "/delete", b'{"key":%s}' % text) for text in texts])
        for key, put, delete in zip(keys, puts, deletes, strict=True):
            self.assertEqual((delete.status, delete.node), (200, put.node), key)
        print(f"{len(keys)} keys stored under /kv/ and deleted by JSON")

    def test_spellings_of_a_path_agree(self):
        pairs = [("a/b", "a%2Fb"), ("a/b", "a%2fb"), ("a+b", "a%2Bb"), ("a:b", "a%3Ab"), ("a;b", "a%3Bb"), ("%41", "A"),
                 ("a%252F", "a%25%32%46")]
        with Client(self.proxy.port) as client:
            for one, other in ((f"{number}{one}", f"{number}{other}") for number in range(20) for one, other in pairs):
                stored = client.request("PUT", f"/kv/{one}", one.encode())
                read = client.request("GET", f"/kv/{other}?")
                self.assertEqual((read.status, read.body, read.node), (200, one.encode(), stored.node), one)
            absolute = client.request("GET", "http://localhost/kv/7a/b")
            self.assertEqual((absolute.status, absolute.body), (200, b"7a/b"))

    def test_a_fragment_is_refused(self):
        lenient = self.folder / "lenient.cfg"  # as versions of HAProxy are that accept it
        mode = "    mode http\n"
        lenient.write_text(CONFIG.read_text().replace(mode, f"{mode}    option accept-invalid-http-request\n", 1))
        proxy = self.enterContext(Proxy(self.folder, "lenient", config=lenient).run(self.nodes))
        for target in ("/kv/a#x", "/get?key=a#x", "/get?key=a&x#y"):
            with Client(proxy.port) as client:
                reply = client.request("GET", target)
                self.assertEqual((reply.status, reply.node, json.loads(reply.body)["status"]), (400, None, "ERROR"))

    def test_what_cannot_be_decoded_gets_the_400_of_a_node(self):
        targets = ["/get", "/get?", "/get?KEY=a", "/get?key", "/get?key=", "/get?key=%", "/get?key=%4", "/get?key=%zz",
                   "/get?key=a&key=b", "/get?key=%ff", "/get?a=%zz&key=b", "/kv/", "/kv/%", "/kv/%4", "/kv/%zz", "/kv/%ff",
                   f"/kv/{'k' * 257}"]
        with Client(self.proxy.port) as client, Client(self.single.port) as direct:
            for target in targets:
                reply, expected = client.request("GET", target), direct.request("GET", target)
                self.assertEqual((reply.status, reply.body), (expected.status, expected.body), target)
                self.assertEqual(reply.status, 400)
                self.assertIsNotNone(reply.node)

    def test_chunked_and_slow_bodies_are_read_completely(self):
        with Client(self.proxy.port) as client:
            for number in range(50):
                owner = client.request("GET", f"/kv/chunked{number}").node
                body = b'{"value":"v","key":"chunked%d"}' % number
                client.send(b"POST /put HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
                for byte in body:
                    client.send(b"1\r\n%c\r\n" % byte)
                client.send(b"0\r\n\r\n")
                reply = client.receive()
                self.assertEqual((reply.status, reply.node), (200, owner))

    def test_a_body_at_the_limit_is_stored_and_a_longer_one_is_refused(self):
        def body(length):
            rest = b'","value":"v"}'
            return b'{"":"' + b"x" * (length - 20 - len(rest)) + b'","key":"limits' + rest

        large_head = f"X-Large: {'x' * 15000}\r\n"
        with Client(self.proxy.port) as client:
            owner = client.request("GET", "/kv/limits").node
            for fields in ("", large_head):
                at_limit = client.request("POST", "/put", body(16384), fields)
                self.assertEqual(len(body(16384)), 16384)
                self.assertEqual((at_limit.status, at_limit.node), (200, owner))
            for length in (16385, 70_000, 1 << 20):
                for chunked in (False, True):
                    with Client(self.proxy.port) as other:
                        whole = body(length)
                        try:
                            if chunked:
                                other.send(b"POST /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                                other.send(b"%x\r\n%s\r\n0\r\n\r\n" % (length, whole))
                            else:
                                other.send(request_bytes("POST", "/put", whole))
                        except ConnectionError:
                            pass  # it does not read the rest
                        reply = other.receive()
                        self.assertEqual((reply.status, json.loads(reply.body)["status"]), (413, "ERROR"))

    def test_two_proxies_and_the_example_client_select_the_same_nodes(self):
        example = example_client()
        bodies = Bodies(11)
        keys = sorted({f"key:{number}:{bodies.text()}".encode() for number in range(KEYS)})
        other = self.enterContext(Proxy(self.folder, "other").run(self.nodes))
        first, second = owners_of(self.proxy.port, keys), owners_of(other.port, keys)
        self.assertEqual(first, second)
        places = {node.number: f"127.0.0.1:{node.port}" for node in self.nodes}
        cluster = example.Cluster(places, **ring_options(example, self.proxy))
        self.assertEqual({key: cluster.node_of(key) for key in keys}, first)
        print(f"{len(keys)} keys: two HAProxies and the example client agree")


if __name__ == "__main__":
    Keys.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
