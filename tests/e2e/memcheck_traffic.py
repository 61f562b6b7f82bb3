#!/usr/bin/env python3
"""A reduced end-to-end run against the program under valgrind's memcheck, for scripts/memcheck.

memcheck_traffic.py PROGRAM LOGS: starts it three times (ample, guarded, short of memory), sends thousands of good
and bad requests over raw sockets to each, and stops it. Ends with 1 where an answer was not the right one, the
program did not end well, or memcheck reports an error or memory that is lost; prints the counts.
"""

import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import running

VALGRIND = ["valgrind", "--tool=memcheck", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect", "--num-callers=30", "--fair-sched=yes"]
PATIENCE_S = 120  # valgrind is slow, and the machine may be busy
STOP_S = 120
HOST = b"Host: localhost\r\n"
chance = random.Random(1)
responses = {}  # the number of responses by status


def request(line, fields=b"", body=None):
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    return line + b" HTTP/1.1\r\n" + HOST + fields + length + b"\r\n" + (body or b"")


def get(target, fields=b""):
    return request(b"GET " + target, fields)


def put(body, fields=b""):
    return request(b"POST /put", fields, body)


def chunked(*lines):
    return b"POST /put HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


def escaped(length):
    return b'"' + b"\\ud83d\\ude00" * length + b'"'


GOOD = [  # with the expected statuses: an entry may have expired, been evicted or find no memory
    (put(b'{"key":"a","value":"b"}'), {200, 503}), (put(b' { "value" : "\\n\\u00e9", "x":[1,{"y":null}], "key":"a" } '), {200, 503}),
    (put(b'{"key":' + escaped(256) + b',"value":' + escaped(256) + b"}"), {200, 503}),
    (put(b'{"key":"t","value":"v","ttl":1}'), {200, 503}), (chunked(b"b;x=y", b'{"key":"c",', b"b", b'"value":"d"', b"1", b"}", b"0", b"T: u"), {200, 503}),
    (put(b'{"key":"e","value":""}', b"Expect: 100-continue\r\n"), {200, 503}),
    (get(b"/get?key=a"), {200, 404}), (get(b"/get?x=y&key=%F0%9F%98%80+%00"), {404}), (get(b"http://localhost/get?key=t"), {200, 404}),
    (get(b"/get?key=" + b"%F0%9F%98%80" * 256), {200, 404}), (get(b"/stats"), {200}), (get(b"/metrics"), {200}), (get(b"/openapi.json"), {200}), (get(b"/"), {200}), (get(b"/", b"Accept: text/html\r\nAccept-Encoding: gzip\r\n"), {200}),
    (get(b"/healthz"), {200}), (get(b"/readyz"), {200}), (request(b"OPTIONS /put"), {204}), (request(b"POST /delete", body=b'{"key":"c"}'), {200, 404}),
    (b"\r\n" + get(b"/healthz", b"X: y\r\n" * 60), {200}),
]
BAD = [  # each on its own connection
    (b"NONSENSE\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400), (get(b"/get?key=%zz"), 400), (get(b"/get?key=a&key=b"), 400), (get(b"/get"), 400),
    (get(b"/get?key=%c0%80"), 400), (b"GET /get HTTP/2.0\r\n" + HOST + b"\r\n", 505), (get(b"/nowhere"), 404), (request(b"PUT /put", body=b""), 405),
    (request(b"POST /put", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400), (request(b"POST /put", b"Transfer-Encoding: gzip\r\n"), 501),
    (chunked(b"17zzz"), 400), (chunked(b"FFFFFFFFFFFFFFFFF", b"a"), 400), (chunked(b"1;" + b"x" * 20000, b"a"), 400),
    (request(b"POST /put", b"Content-Length: 1000000\r\n"), 413), (get(b"/get?key=" + b"x" * 9000), 414), (get(b"/get?key=a", b"X: y\r\n" * 100), 431),
    (get(b"/get?key=a", b"X: " + b"y" * 20000 + b"\r\n"), 431), (get(b"/get?key=a", b"X : y\r\n"), 400), (get(b"/get?key=a", b"X: y\r\n z\r\n"), 400),
    (put(b""), 400), (put(b"{"), 400), (put(b"[" * 16000), 400), (put(b'{"key":"a","key":"b","value":"c"}'), 400), (put(b'{"key":"\xff","value":""}'), 400),
    (put(b'{"key":"\\ud800","value":""}'), 400), (put(b'{"key":1,"value":""}'), 400), (put(b'{"key":"a","value":"' + b"x" * 257 + b'"}'), 400),
    (put(b'{"key":"a","value":"b","ttl":1e400}'), 400), (put(b'{"key":"a","value":"b"}', b"Origin: http://evil.example\r\n"), 403),
    (request(b"POST /put"), 411), (request(b"POST /put", b"Expect: something\r\n", b""), 417),
]


class Peer:
    def __init__(self, port, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self.socket.makefile("rb")

    def send(self, text, pieces=1):
        cuts = sorted(chance.randrange(len(text) + 1) for _ in range(pieces - 1))
        for begin, end in zip([0, *cuts], [*cuts, len(text)]):
            self.socket.sendall(text[begin:end])

    def read_reply(self, bodiless=False):
        """The status of the next response other than 100 Continue."""
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self._replies.readline()
                assert line, f"the connection ended where an answer was due, after {head!r}"
                head += line
            status = int(head[9:12])
            if status != 100:
                break
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        if length and not bodiless:
            self._replies.read(int(length[1]))
        responses[status] = responses.get(status, 0) + 1
        return status

    def request(self, text, statuses, pieces=1, bodiless=False):
        self.send(text, pieces)
        got = self.read_reply(bodiless)
        assert got in statuses, f"{text[:200]!r} got {got}"

    def ends(self):
        try:
            return not self._replies.read()
        except ConnectionError:
            return True

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self._replies.close()
        self.socket.close()


def good_requests(port, rounds):
    peers = [Peer(port) for _ in range(8)]
    for _ in range(rounds):
        for text, statuses in GOOD:
            chance.choice(peers).request(text, statuses, pieces=chance.choice([1, 1, 2, 5]))
        chance.choice(peers).request(request(b"HEAD /get?key=a"), {200, 404}, bodiless=True)
    for number in range(rounds):
        key = b"%d" % chance.randrange(10 * rounds)
        peers[number % 8].request(put(b'{"key":"%s","value":"%s"}' % (key, b"v" * chance.randrange(257))), {200, 503})
    old = Peer(port)
    old.request(b"GET /healthz HTTP/1.0\r\n\r\n", {200})
    assert old.ends()
    for each in (*peers, old):
        each.close()


def pipelines(port, requests=500):
    peer = Peer(port)
    peer.send(get(b"/get?key=a") * requests + put(b'{"key":"p","value":"q"}') * requests)
    peer.socket.shutdown(socket.SHUT_WR)
    for _ in range(requests):
        assert peer.read_reply() in {200, 404}
    for _ in range(requests):
        assert peer.read_reply() in {200, 503}
    assert peer.ends()
    peer.close()


def bad_requests(port, rounds):
    for _ in range(rounds):
        for text, status in BAD:
            peer = Peer(port)
            peer.request(text, {status}, pieces=chance.choice([1, 1, 3]))
            peer.close()
        peer = Peer(port)
        peer.send(put(b"x" * 1000)[:-500])
        peer.reset()
        peer = Peer(port)
        peer.send(chance.randbytes(chance.randrange(1, 3000)))
        peer.close()


def slow_peers(port):
    """Returns a function that asserts that their connections are closed."""
    slow = [Peer(port) for _ in range(20)]
    for each in slow[::2]:
        each.send(b"GET /get?key=a HTTP/1.1\r\nX: ")
    for each in slow[1::2]:
        each.send(put(b"x" * 9000)[:-1000])
    greedy = [Peer(port, 4096) for _ in range(4)]
    for each in greedy:
        each.socket.setblocking(False)
        try:
            while True:
                each.socket.send(get(b"/openapi.json") * 100)
        except BlockingIOError:
            pass
        each.socket.settimeout(PATIENCE_S)

    def are_ended():
        for each in slow:
            assert each.read_reply() == 408
            assert each.ends()
        for each in greedy:
            each.ends()  # fails at a timeout
        for each in (*slow, *greedy):
            each.close()
    return are_ended


# ---- the three daemons

def ample(port, _, __):
    are_ended = slow_peers(port)
    good_requests(port, 100)
    pipelines(port)
    for _ in range(20):
        peer = Peer(port)
        peer.request(put(b'{"key":"a","value":"b"}'), {200})
        peer.request(request(b"POST /flush", body=b""), {200})
        peer.request(get(b"/get?key=a"), {404})
        peer.close()
    bad_requests(port, 60)
    good_requests(port, 20)
    are_ended()


def guarded(port, process, logs):
    """Tokens and host names; SIGHUP; more connections than the limit; no flush without a read-write token."""
    tokens = logs / "tokens"
    read, write = (b"Authorization: Bearer " + name + b"\r\n" for name in (b"reader", b"writer"))

    def hang_up(text, taken):
        tokens.write_text(text)
        process.send_signal(signal.SIGHUP)
        def shown():
            peer = Peer(port)
            peer.send(get(b"/stats", b"Authorization: Bearer later\r\n"))
            status = peer.read_reply()
            peer.close()
            return status == (200 if taken else 401)
        running.until("the tokens are read again", shown)

    for _ in range(100):
        peer = Peer(port)
        peer.request(get(b"/get?key=a"), {401})
        peer.request(get(b"/get?key=a", read), {404, 200})
        peer.request(put(b'{"key":"a","value":"b"}', read), {403})
        peer.request(put(b'{"key":"a","value":"b"}', write), {200})
        peer.request(b"GET /get?key=a HTTP/1.1\r\nHost: evil.example\r\n" + read + b"\r\n", {421})
        peer.request(request(b"POST /flush", read, b""), {403})
        peer.request(request(b"POST /flush", write, b""), {200})
        peer.close()
    hang_up("read-write later\n", True)
    hang_up("nonsense\n", True)  # rejected: the old tokens remain in force
    hang_up("read-only other\n", False)
    many = [Peer(port) for _ in range(40)]
    for each in many[:20]:
        each.request(get(b"/healthz"), {200})
    for each in many[-10:]:
        assert each.read_reply() == 503
    for each in many:
        each.close()


def short_of_memory(port, _, __):
    """Valgrind itself uses nearly all memory of the limit: PUTs evict or are refused."""
    good_requests(port, 50)
    pipelines(port)
    peers = [Peer(port) for _ in range(4)]
    for batch in range(100):
        for number, each in enumerate(peers):
            each.send(b"".join(put(b'{"key":"%d","value":"%s"}' % (entry, b"v" * 200)) for entry in range(batch * 200 + number, batch * 200 + 200, 4)))
        for each in peers:
            for _ in range(50):
                assert each.read_reply() in {200, 503}
    for each in peers:
        each.close()
    bad_requests(port, 10)


CASES = {
    "ample": (ample, ["--head-timeout-ms", "4000", "--body-timeout-ms", "4000", "--write-timeout-ms", "4000", "--enable-flush",
                      "--max-entries", "300", "--access-log"]),
    "guarded": (guarded, ["--auth-token-file", "tokens", "--allowed-hosts", "localhost", "--max-connections", "30", "--log-format", "json"]),
    "short of memory": (short_of_memory, ["--memory-limit", "104M"]),
}


def run(name, program, logs):
    """The errors that memcheck found, as a sentence; None without errors."""
    traffic, options = CASES[name]
    options = [str(logs / word) if word == "tokens" else word for word in options]
    (logs / "tokens").write_text("read-only reader\nread-write writer\n")
    (logs / "tokens").chmod(0o600)
    found = logs / f"{name.replace(' ', '_')}.memcheck"
    before = sum(responses.values())
    with running.process([*VALGRIND, f"--log-file={found}", str(program), "--port", "0", "--threads", "2", *options],
                         found.with_suffix(".log")) as process:
        def port_in_log():
            assert process.poll() is None, "it ended at once"
            text = re.search(r"127\.0\.0\.1:(\d+)", found.with_suffix(".log").read_text())
            return text and int(text[1])
        port = running.until("it logs its address", port_in_log)
        traffic(port, process, logs)
        left = [Peer(port) for _ in range(3)]  # some are open at the stop
        left[0].send(b"GET /get?key=a HTTP/1.1\r\nX: ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=STOP_S) == 0, f"it ended with {process.returncode}"
        for each in left:
            each.close()
    text = found.read_text()
    errors = int(re.search(r"ERROR SUMMARY: (\d+) errors", text)[1])
    lost = {kind: int(size.replace(",", "")) for kind, size in re.findall(r"(definitely|indirectly|possibly) lost: ([\d,]+) bytes", text)}
    heap = re.search(r"total heap usage: ([\d,]+) allocs, ([\d,]+) frees", text)
    print(f"{name}: {sum(responses.values()) - before:,} responses, {heap[1]} allocations, {heap[2]} freed, {errors} errors, "
          + (", ".join(f"{size:,} bytes {kind} lost" for kind, size in lost.items()) or "no memory left"), flush=True)
    if errors or lost.get("definitely") or lost.get("indirectly"):
        print(text)
        return f"{name}: memcheck found something, see {found}"
    return None


def main():
    program, logs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    found = [problem for name in CASES if (problem := run(name, program, logs))]
    print(f"responses by status: {', '.join(f'{status}: {count:,}' for status, count in sorted(responses.items()))}")
    print("\n".join(found) if found else f"{sum(responses.values()):,} responses, memcheck found nothing")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
