#!/usr/bin/env python3
"""The server keeps what /openapi.json promises.

    openapi_contract_test.py KEYVALUE_CACHE

Starts the daemon, asks it for the document, sends every request that an example carries (x-request), and
holds the answer against the documented status, content type, schema and message. Needs Debian's
package python3-jsonschema.
"""

import contextlib
import json
import pathlib
import select
import socket
import sys
import tempfile
import unittest

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import daemon, until  # noqa: E402

TIMEOUT_S = 10
FLUSH = "--enable-flush"
SNAPSHOT = "--enable-snapshot"
NO_PAGE = "--no-page"

# Answers that need a server in a certain state, by the name of their example: the server (SERVERS) and
# what is sent to it, whole or not. {operation} is method and path.
HOST = "Host: localhost\r\n"
CLOSE = "Connection: close\r\n"
PROVOKED = {
    "unauthorized": ("tokens", f"{{operation}} HTTP/1.1\r\n{HOST}{CLOSE}\r\n"),
    "read_only_token": ("tokens", f"{{operation}} HTTP/1.1\r\n{HOST}{CLOSE}"
                                  "Authorization: Bearer reader\r\n\r\n"),
    "read_only_batch": ("tokens", f"{{operation}} HTTP/1.1\r\n{HOST}{CLOSE}Authorization: Bearer reader\r\n"
                                  "Content-Length: 38\r\n\r\n" '{"ops":[{"op":"delete","key":"aaaa"}]}'),
    "host_not_allowed": ("hosts", f"{{operation}} HTTP/1.1\r\n{HOST}{CLOSE}\r\n"),
    "head_too_slow": ("hasty", "{operation} HTTP/1.1\r\n"),
    "body_too_slow": ("hasty", f"{{operation}} HTTP/1.1\r\n{HOST}Content-Length: 1\r\n\r\n"),
    "too_many_connections": ("full", ""),
    "not_ready": ("draining", f"{{operation}} HTTP/1.1\r\n{HOST}{CLOSE}\r\n"),
    "no_response_memory": ("short", f"{{operation}}?key=large HTTP/1.1\r\n{HOST}{CLOSE}\r\n"),
}
SERVERS = {  # their options
    "hosts": ["--allowed-hosts", "cache.example"],
    "hasty": ["--head-timeout-ms", "100", "--body-timeout-ms", "100"],
    "full": ["--max-connections", "1", "--idle-timeout-ms", "600000"],
    "draining": ["--drain-delay-ms", "600000", "--drain-timeout-ms", "600001"],
    "short": ["--memory-limit", "64M", "--max-value-chars", "1000000"],  # see SlowReaders
}

# No client can make a healthy server return these reliably. no_request_memory requires that the last bytes for
# requests are taken (tests/server/connection_test.cpp), value_too_long_for_json a higher limit of values
# (tests/server/large_value_test.cpp), batch_response_too_large a lower one of responses (tests/api/batch_test.cpp),
# those of snapshots a full disk, or another snapshot at the same moment (tests/api/snapshot_test.cpp).
NOT_PROVOKED = {"internal_error", "no_request_memory", "no_room", "out_of_memory", "value_too_long_for_json",
                "batch_response_too_large", "no_disk_space", "snapshot_under_way", "still_loading"}

# Refused for certain is only a response that is larger than any gap between those of the slow readers.
LARGE_RESPONSES = {"/get"}


class Answer:
    def __init__(self, text):
        head, _, self.body = text.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.fields = {name.lower(): value.strip()
                       for name, _, value in (line.partition(":") for line in lines[1:])}


def send(port, data):
    """Sends the bytes, and gives the first answer on the connection, read until it is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        connection.sendall(data)
        received = b""
        while part := connection.recv(65536):
            received += part
    return Answer(received)


def ask(port, method, target, body=None, headers=None, encoding="utf-8"):
    """One request as a client would send it, on a connection of its own."""
    fields = {"Host": f"127.0.0.1:{port}", "Connection": "close", **(headers or {})}
    content = (body or "").encode(encoding)
    if body is not None:
        fields["Content-Length"] = str(len(content))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields.items())
    return send(port, head.encode() + b"\r\n" + content)


class SlowReaders:
    """Clients whose responses hold all the memory that a server of 64 MiB has for them, for as long as they are
    read slowly: meanwhile another response of more than 2 KiB has to wait. One of 2 KiB or less never does."""

    CLIENTS = 40
    VALUE_BYTES = 1_000_000  # of the key "large"
    READ_BYTES = 4000  # at a time; a client that reads nothing is closed

    def __init__(self, port):
        self.port = port

    def __enter__(self):
        self.clients = [socket.socket() for _ in range(self.CLIENTS)]
        for client in self.clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", self.port))
            client.sendall(f"GET /get?key=large HTTP/1.1\r\n{HOST}\r\n".encode())
            client.setblocking(False)
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()

    def read_until_readable(self, other):
        """Goes on reading slowly until the other connection has something to be read."""
        while not select.select([other], [], [], 0.02)[0]:
            for client in self.clients:
                with contextlib.suppress(BlockingIOError, ConnectionResetError):
                    client.recv(self.READ_BYTES)


def send_while_memory_is_short(port, data):
    """Sends the bytes beside slow readers, until the answer to them is 503."""
    def refused():
        with SlowReaders(port) as readers, socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(data)
            readers.read_until_readable(connection)
            received = connection.recv(65536)
            while received.startswith(b"HTTP/1.1 503 ") and (part := connection.recv(65536)):
                received += part
        return Answer(received) if received.startswith(b"HTTP/1.1 503 ") else None

    return until("a response finds no memory", refused)


class Contract(unittest.TestCase):
    program = ""  # set by main

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        plain = cls.enterClassContext(daemon(cls.program, folder / "plain.log"))
        flushing = cls.enterClassContext(daemon(cls.program, folder / "flush.log", FLUSH))
        saving = {SNAPSHOT: ["--snapshot-file", str(folder / "snapshot")],
                  f"{SNAPSHOT}, no file": [],
                  f"{SNAPSHOT}, no folder": ["--snapshot-file", str(folder / "none" / "snapshot")]}
        bare = cls.enterClassContext(daemon(cls.program, folder / "bare.log", NO_PAGE))
        cls.ports = {f"no {FLUSH}": plain.port, FLUSH: flushing.port, NO_PAGE: bare.port} | {
            needs: cls.enterClassContext(daemon(cls.program, folder / f"{needs}.log", SNAPSHOT, *options)).port
            for needs, options in saving.items()}
        cls.port = cls.ports[f"no {FLUSH}"]
        cls.document = json.loads(ask(cls.port, "GET", "/openapi.json").body)

        tokens = folder / "tokens"
        tokens.write_text("read-only reader\n")
        servers = {**SERVERS, "tokens": ["--auth-token-file", str(tokens)]}
        cls.states = {name: cls.enterClassContext(daemon(cls.program, folder / f"{name}.log", *options))
                      for name, options in servers.items()}
        cls.held = cls.enterClassContext(
            socket.create_connection(("127.0.0.1", cls.states["full"].port), timeout=TIMEOUT_S))
        cls.held.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        cls.held.recv(65536)
        large = json.dumps({"key": "large", "value": "x" * SlowReaders.VALUE_BYTES})
        assert ask(cls.states["short"].port, "POST", "/put", large).status == 200
        draining = cls.states["draining"]
        draining.process.terminate()
        until("it drains", lambda: ask(draining.port, "GET", "/readyz").status == 503)
        cls.addClassCleanup(draining.process.terminate)  # the second one ends it at once

    def resolved(self, part):
        while "$ref" in part:
            found = self.document
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            part = found
        return part

    def operations(self):
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                yield path, method.upper(), operation

    def examples(self):
        """Every documented answer: path, method, status, content type, schema and example."""
        for path, method, operation in self.operations():
            for status, answer in operation["responses"].items():
                for content_type, content in self.resolved(answer).get("content", {}).items():
                    for name, example in content["examples"].items():
                        yield (f"{method} {path} {status} {name}", path, method, int(status),
                               content_type, content["schema"], self.resolved(example))

    def assert_has_headers(self, answer, documented):
        for name, header in documented.items():
            self.assertIn(name.lower(), answer.fields)
            schema = self.resolved(header)["schema"]
            text = answer.fields[name.lower()]
            self.assert_fits(int(text) if schema["type"] == "integer" else text, schema)

    def assert_fits(self, value, schema):
        jsonschema.Draft202012Validator(
            {"components": self.document["components"], **schema}).validate(value)

    def headers(self, path, method, status):
        answers = self.document["paths"][path][method.lower()]["responses"]
        return self.resolved(answers[str(status)]).get("headers", {})

    def answer_to(self, request, path, method):
        port = self.ports[request["needs"]] if "needs" in request else self.port
        for earlier in request.get("before", []):
            self.assertIn(ask(port, earlier["method"], earlier["target"], earlier["body"],
                              encoding=earlier.get("encoding", "utf-8")).status, (200, 201, 204))

        def filled(text):
            target = path.replace("{key}", "a")
            return (text.replace("{operation}", f"{method} {target}").replace("{target}", target)
                    .replace("{method}", method)
                    .replace("{pad}", request.get("pad", "") * request.get("pad_times", 0)))

        if "raw" in request:
            return send(port, filled(request["raw"]).encode())
        body = request.get("body")
        return ask(port, method, filled(request["target"]),
                   None if body is None else filled(body), request.get("headers"))

    def provoked(self, name, path, method):
        state, text = PROVOKED[name]
        give = send_while_memory_is_short if state == "short" else send
        return give(self.states[state].port, text.replace("{operation}", f"{method} {path.replace('{key}', 'a')}").encode())

    def test_every_documented_answer_is_given(self):
        tried = 0
        for where, path, method, status, content_type, schema, example in self.examples():
            name = where.rpartition(" ")[2]
            if name in NOT_PROVOKED or (name == "no_response_memory" and path not in LARGE_RESPONSES):
                self.assertNotIn("x-request", example)
                continue
            tried += 1
            with self.subTest(where):
                answer = (self.answer_to(example["x-request"], path, method)
                          if "x-request" in example else self.provoked(name, path, method))
                self.assertEqual(answer.status, status, answer.body)
                self.assertEqual(answer.fields["content-type"], content_type)
                self.assert_has_headers(answer, self.headers(path, method, status))
                if content_type == "application/json":
                    value = json.loads(answer.body)
                    self.assert_fits(value, schema)
                    if "message" in value:  # which may go on to tell the place
                        self.assertTrue(
                            value["message"].startswith(example["value"]["message"].rstrip(".")),
                            value["message"])
        self.assertGreater(tried, 300)

    def test_what_the_client_has_is_not_sent_again(self):
        html = {"Accept": "text/html"}
        for path, fields in (("/openapi.json", {}), ("/", {}), ("/", html), ("/", {**html, "Accept-Encoding": "gzip"})):
            tag = ask(self.port, "GET", path, headers=fields).fields["etag"]
            for method in ("GET", "HEAD"):
                with self.subTest(f"{method} {path} {fields}"):
                    answer = ask(self.port, method, path, headers={**fields, "If-None-Match": tag})
                    self.assertEqual((answer.status, answer.body), (304, b""))
                    self.assert_has_headers(answer, self.headers(path, "GET", 304))

    def test_only_documents_and_values_may_be_stored(self):
        for path, method, operation in self.operations():
            for status in operation["responses"]:
                with self.subTest(f"{method} {path} {status}"):
                    documented = self.headers(path, method, status).get("Cache-Control")
                    said = documented and self.resolved(documented)["schema"]["const"]
                    expected = (None if status in ("201", "204") or (method, status) == ("POST", "200")
                                else "no-cache" if path in ("/", "/openapi.json", "/kv/{key}") and status in ("200", "304")
                                else "no-store")
                    self.assertEqual(said, expected)

    def test_every_example_fits_its_schema(self):
        for name, *_, content_type, schema, example in self.examples():
            if content_type == "application/json":
                with self.subTest(name):
                    self.assert_fits(example["value"], schema)

    def test_every_path_allows_the_documented_methods(self):
        for path, methods in self.document["paths"].items():
            with self.subTest(path):
                allowed = {method.upper() for method in methods} | {"OPTIONS"}
                allowed |= {"HEAD"} if "GET" in allowed else set()
                answer = ask(self.port, "OPTIONS", path)
                self.assertEqual(answer.status, 204)
                self.assertEqual(set(answer.fields["allow"].split(", ")), allowed)

    def test_every_documented_state_is_reported(self):
        seen = {json.loads(ask(port, "GET", "/stats").body)["state"]
                for port in (self.port, self.states["draining"].port)}
        seen.add("loading")  # for too short a time: see tests/snapshot
        self.assertEqual(seen, set(self.document["components"]["schemas"]["Stats"]["properties"]["state"]["enum"]))

    def test_a_path_that_is_not_documented_is_not_found(self):
        answer = ask(self.port, "GET", "/not-documented")
        self.assertEqual(answer.status, 404)
        self.assert_fits(json.loads(answer.body), {"$ref": "#/components/schemas/Error"})

    def test_the_answer_to_head_has_no_body(self):
        for path, method, _ in self.operations():
            if method == "GET":
                with self.subTest(path):
                    self.assertEqual(ask(self.port, "HEAD", path).body, b"")


if __name__ == "__main__":
    Contract.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
