#!/usr/bin/env python3
"""The counters of requests add up to the responses that clients receive: under good and bad requests, in
pipelines, over the connection limit and around a flush.

Usage: response_counts_test.py PROGRAM
"""

import collections
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import running  # noqa: E402

THREADS = 8
PIPELINES = 60  # of each thread
MAX_CONNECTIONS = 24
REFUSED_AT_ONCE = 300  # more than get a lingering close
AUTH = "Authorization: Bearer writer\r\n"


def get(target, method="GET", fields=AUTH):
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


def post(path, body, fields=AUTH, length=None):
    return (f"POST {path} HTTP/1.1\r\nHost: a\r\n{fields}"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n{body}").encode()


def kv(method, key, body="", fields=AUTH, query=""):
    return (f"{method} /kv/{key}{query} HTTP/1.1\r\nHost: a\r\n{fields}"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


PUT = '{"key":"a","value":"b"}'
CHUNKED = f"POST /put HTTP/1.1\r\nHost: a\r\n{AUTH}Transfer-Encoding: chunked\r\n\r\n"

# (request, operation, statuses that it may get). The connection stays open after these.
GOING_ON = [
    (get("/get?key=a"), "get", {200, 404}),
    (get("/get?key=a", "HEAD"), "get", {200, 404}),
    (get("/get?key=absent"), "get", {404}),
    (get("/get"), "get", {400}),
    (get("/get?key=a", fields=""), "get", {401}),
    (get("/"), "page", {200}),
    (get("/", fields="Accept: text/html\r\n"), "page", {200}),
    (get("/nothing"), "unknown", {404}),
    (get("/nothing", "OPTIONS"), "unknown", {404}),
    (get("/get", "OPTIONS"), "options", {204}),
    (get("*", "OPTIONS"), "options", {204}),
    (get("/put"), "put", {405}),
    (get("/get", "BREW"), "get", {405}),
    (post("/put", PUT), "put", {200}),
    (post("/put", "{"), "put", {400}),
    (post("/put", PUT, fields=AUTH + "Origin: http://elsewhere\r\n"), "put", {403}),
    (post("/put", PUT, fields="Authorization: Bearer reader\r\n"), "put", {403}),
    (get("/put", "POST"), "put", {411}),
    (f"{CHUNKED}{len(PUT):x}\r\n{PUT}\r\n0\r\n\r\n".encode(), "put", {200}),
    (post("/delete", '{"key":"a"}'), "delete", {200, 404}),
    (post("/delete", "{}"), "delete", {400}),
    (kv("GET", "a"), "kv_get", {200, 404}),
    (kv("HEAD", "a"), "kv_get", {200, 404}),
    (kv("GET", "a", fields=AUTH + "If-None-Match: *\r\n"), "kv_get", {304, 404}),
    (kv("GET", "a", fields=AUTH + 'If-Match: "x"\r\n'), "kv_get", {412, 404}),
    (kv("GET", "%"), "kv_get", {400}),
    (kv("PUT", "a", "value"), "kv_put", {201, 204}),
    (kv("PUT", "b", "v" * 100_000), "kv_put", {201, 204}),
    (kv("PUT", "binary", "value", query="?ttl=5"), "kv_put", {201, 204}),
    (kv("PUT", "a", "value", query="?x=5"), "kv_put", {400}),
    (kv("PUT", "a", "value", fields=AUTH + 'If-Match: "x"\r\n'), "kv_put", {412}),
    (kv("PUT", "a", "value", fields=AUTH + "Content-Encoding: br\r\n"), "kv_put", {415}),
    (kv("DELETE", "a"), "kv_delete", {204, 404}),
    (kv("DELETE", "b", "body"), "kv_delete", {400}),
    (kv("OPTIONS", "a"), "options", {204}),
    (kv("PATCH", "a"), "kv_get", {405}),
    (kv("POST", "a"), "kv_post", {400}),
    (kv("POST", "absent", query="?op=incr"), "kv_post", {404}),
    (kv("POST", "counter", query="?op=incr&initial=0"), "kv_post", {200}),
    (kv("POST", "counter", fields=AUTH + "If-None-Match: *\r\n", query="?op=incr&initial=0"), "kv_post", {200, 412}),
    (post("/batch", '{"ops":[{"op":"get","key":"absent"}]}'), "batch", {200}),
    (post("/batch", '{"ops":[{"op":"get"}]}'), "batch", {400}),
    (post("/batch", '{"ops":[{"op":"touch","key":"a"}]}', fields="Authorization: Bearer reader\r\n"), "batch", {403}),
    (post("/flush", ""), "flush", {200}),
    (get("/healthz"), "healthz", {200}),
    (get("/readyz", "HEAD"), "readyz", {200}),
    (get("/stats"), "stats", {200}),
    (get("/metrics"), "metrics", {200}),
    (get("/openapi.json"), "openapi", {200}),
]

# The connection ends with these.
LAST = [
    (b"nonsense\r\n\r\n", "none", {400}),
    (b"GET /get?key=a HTTP/1.1\r\n\r\n", "none", {400}),
    (b"GET /get?key=a HTTP/3.0\r\nHost: a\r\n\r\n", "none", {505}),
    (get("/get?key=" + "a" * 9000), "none", {414}),
    (get("/get?key=a", fields="X: y\r\n" * 100), "none", {431}),
    (post("/put", "", fields="Expect: tea\r\n"), "none", {417}),
    (post("/put", PUT, fields=AUTH + "Transfer-Encoding: chunked\r\n"), "none", {400}),
    (post("/put", "", length=10**9), "put", {413}),
    (post("/nothing", "", length=10**9), "unknown", {413}),
    (f"PUT /kv/a HTTP/1.1\r\nHost: a\r\n{AUTH}Content-Length: 2000000\r\n\r\n".encode(), "kv_put", {413}),
    (f"PUT /kv/a HTTP/1.1\r\nHost: a\r\n{AUTH}If-Match: x\r\nExpect: 100-continue\r\n"
     "Content-Length: 2\r\n\r\n".encode(), "kv_put", {400}),
    (post("/put", "", fields="Expect: 100-continue\r\n", length=20), "put", {401}),
    (f"{CHUNKED}no chunk\r\n".encode(), "put", {400}),
    (get("/get?key=a", fields=AUTH + "Connection: close\r\n"), "get", {200, 404}),
    (b"GET /healthz HTTP/1.0\r\n\r\n", "healthz", {200}),
]

# These are answered once their time is over.
STALLED = [
    (b"GET /get?k", "none", {408}),
    (post("/put", "", length=20), "put", {408}),
]


class Peer:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=running.PATIENCE_S)
        self.input = self.socket.makefile("rb")
        self.body = b""  # of the last response

    def close(self):
        self.input.close()
        self.socket.close()

    def read_status(self, to_head=False):
        """The status of the next response, which is read to its end; None where there is none."""
        line = self.input.readline()
        if not line:
            return None
        self.body = b""
        status = int(re.fullmatch(rb"HTTP/1\.1 (\d{3}) .*\r\n", line)[1])
        length = 0
        while (field := self.input.readline()) != b"\r\n":
            name, _, value = field.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if status >= 200 and status != 204 and not to_head:
            self.body = self.input.read(length)
            assert len(self.body) == length
        return status

    def read_body(self):
        assert self.read_status() == 200
        return self.body.decode()


def send_pipeline(port, chosen, counts):
    peer = Peer(port)
    peer.socket.sendall(b"".join(request for request, _, _ in chosen))
    for request, operation, statuses in chosen:
        status = peer.read_status(to_head=request.startswith(b"HEAD "))
        assert status in statuses, (request, status)
        counts[operation, status] += 1
    if chosen[-1] in LAST + STALLED:
        assert peer.read_status() is None
    peer.close()


def put_with_expectation(port, counts):
    """An interim response is none that is counted."""
    peer = Peer(port)
    whole = post("/put", PUT, fields=AUTH + "Expect: 100-continue\r\n")
    head = whole[:-len(PUT)]
    peer.socket.sendall(head)
    assert peer.read_status() == 100
    peer.socket.sendall(PUT.encode())
    assert peer.read_status() == 200
    counts["put", 200] += 1
    peer.close()


def load(port, seed, counts, failures):
    choose = random.Random(seed)
    try:
        for _ in range(PIPELINES):
            chosen = choose.choices(GOING_ON, k=choose.randrange(0, 20)) + [choose.choice(GOING_ON + LAST)]
            send_pipeline(port, chosen, counts)
        put_with_expectation(port, counts)
        for last in LAST + STALLED:
            send_pipeline(port, [last], counts)
    except Exception as failure:  # to be raised where the test sees it
        failures.append(failure)


def exceed_connections(port, counts):
    """Which of them are refused, and whether that counts as none or as what they ask for, is left open."""
    peers = [Peer(port) for _ in range(MAX_CONNECTIONS)]
    for peer in peers:
        peer.socket.sendall(get("/get?key=absent"))
        status = peer.read_status()
        assert status in (404, 503), status
        counts["get" if status == 404 else "refused", status] += 1
    refused = [Peer(port) for _ in range(REFUSED_AT_ONCE)]
    for peer in refused:
        if status := peer.read_status():  # one that finds a place and asks for nothing gets nothing
            assert status in (408, 503), status
            counts["refused", status] += 1
    for peer in peers + refused:
        peer.close()


def ask(port, path):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": "Bearer reader"})
    with urllib.request.urlopen(request, timeout=running.PATIENCE_S) as response:
        return response.read().decode()


def without_refused(counts, refused):
    """The counts less those of `refused`, each taken from where connections over the limit are counted."""
    rest = collections.Counter(counts)
    for (_, status), times in refused.items():
        for operation in ("none", "get"):
            taken = min(times, rest[operation, status])
            rest[operation, status] -= taken
            times -= taken
        assert times == 0, f"{times} refused connections are not counted"
    return +rest


def compare(what, counted, expected):
    refused = {key: times for key, times in expected.items() if key[0] == "refused"}
    received = collections.Counter({key: times for key, times in expected.items() if key[0] != "refused"})
    # What is refused over the limit may be counted where others are, too: only their sum is compared.
    rest = without_refused(counted, refused)
    different = {key: (rest[key], received[key]) for key in rest | received if rest[key] != received[key]}
    assert not different, f"{what} (counted, received): {different}"
    assert sum(counted.values()) == sum(expected.values())


def by_stats(text):
    responses = json.loads(text)["since_start"]["responses"]
    return collections.Counter({(operation, int(status.removeprefix("status_"))): times for operation, of_operation in responses.items()
                                for status, times in of_operation.items()})


def by_metrics(text):
    series = re.findall(r'^keyvalue_cache_requests_total\{operation="(\w+)",code="(\d+)"\} (\d+)$', text, re.M)
    return +collections.Counter({(operation, int(status)): int(times) for operation, status, times in series})


def value(text, series):
    return int(re.search(rf"^keyvalue_cache_{re.escape(series)} (\d+)$", text, re.M)[1])


def check_sums(text, counts):
    """The older counters are sums of the same responses."""
    by_status = collections.Counter()
    for (_, status), times in counts.items():
        by_status[status] += times
    for status in (400, 401, 403, 405, 408, 411, 412, 413, 414, 415, 417, 431, 503, 505):
        assert value(text, f'refused_requests_total{{status="{status}"}}') == by_status[status], status
    assert value(text, 'refused_requests_total{status="404"}') == counts["unknown", 404]
    hits = counts["get", 200] + counts["kv_get", 200] + counts["kv_get", 304]
    assert value(text, 'gets_total{result="hit"}') == hits
    in_batches = counts["batch", 200]  # each has one get, of an absent key
    assert value(text, 'batch_operations_total{operation="get",code="404"}') == in_batches
    assert value(text, "batch_size_operations_count") == value(text, "batch_size_operations_sum") == in_batches
    assert value(text, 'gets_total{result="miss"}') == counts["get", 404] + counts["kv_get", 404] + in_batches
    stored = sum(value(text, f'puts_total{{result="{result}"}}') for result in ("inserted", "replaced"))
    assert stored == counts["put", 200] + counts["kv_put", 201] + counts["kv_put", 204]
    assert value(text, 'puts_total{result="precondition_failed"}') == counts["kv_put", 412]
    assert value(text, 'deletes_total{result="deleted"}') == counts["delete", 200] + counts["kv_delete", 204]
    assert value(text, 'deletes_total{result="not_found"}') == counts["delete", 404] + counts["kv_delete", 404]
    assert value(text, "flushes_total") == counts["flush", 200]
    assert value(text, "other_requests_total") == sum(
        times for (operation, status), times in counts.items()
        if status < 400 and operation not in ("get", "put", "delete", "flush", "kv_get", "kv_put", "kv_delete", "kv_post"))


def check_dropped_log_lines(program):
    """Lines that nobody reads in time are dropped, and counted."""
    read_end, write_end = os.pipe()
    command = [program, "--bind", "127.0.0.1", "--port", "0", "--threads", "1", "--access-log"]
    process = subprocess.Popen(command, stderr=write_end)
    os.close(write_end)
    try:
        started = b""
        while b"listening on" not in started:
            started += os.read(read_end, 65536)
        peer = Peer(int(re.search(rb"127\.0\.0\.1:(\d+)", started)[1]))
        request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

        def dropped():
            peer.socket.sendall(request * 100)
            for _ in range(100):
                assert peer.read_status() == 200
            peer.socket.sendall(get("/metrics", fields="Connection: keep-alive\r\n"))
            return value(peer.read_body(), "log_lines_dropped_total")

        running.until("log lines are dropped", dropped)
        peer.close()
    finally:
        process.kill()
        process.wait()
        os.close(read_end)


def main():
    check_dropped_log_lines(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        tokens = pathlib.Path(directory) / "tokens"
        tokens.write_text("read-only reader\nread-write writer\n")
        tokens.chmod(0o600)
        options = ("--auth-token-file", str(tokens), "--max-connections", str(MAX_CONNECTIONS),
                   "--head-timeout-ms", "300", "--body-timeout-ms", "300", "--access-log")
        with running.daemon(sys.argv[1], pathlib.Path(directory) / "log", *options) as daemon:
            each = [collections.Counter() for _ in range(THREADS)]
            failures = []
            threads = [threading.Thread(target=load, args=(daemon.port, seed, counts, failures))
                       for seed, counts in enumerate(each)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if failures:
                raise failures[0]
            received = sum(each, collections.Counter())
            exceed_connections(daemon.port, received)
            # Until those connections are closed at the server, too, its pages may be refused.
            def stats():
                try:
                    return ask(daemon.port, "/stats")
                except urllib.error.HTTPError as error:
                    assert error.code == 503, error
                    received["refused", 503] += 1
                    return None
            compare("/stats", by_stats(running.until("a connection is accepted again", stats)), received)
            received["stats", 200] += 1
            text = ask(daemon.port, "/metrics")
            counted = by_metrics(text)
            compare("/metrics", counted, received)
            check_sums(text, counted)


main()
