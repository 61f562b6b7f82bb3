"""Peers that misbehave, and what each may expect all the same.

A way to misbehave is a coroutine of `Peers`: it takes a connection and returns what became of it. What the
server owes (an answer, which one, an end, by when) decides between OK and a sentence about what was wrong.
"""

import asyncio
import collections
import dataclasses
import json
import random
import re
import resource
import socket
import struct

HOST = b"Host: localhost\r\n"
GET = b"GET /get?key=key:0000000000000000 HTTP/1.1\r\n" + HOST + b"\r\n"

OK = "as it should be"
TOO_LATE = "ended too late"
WE_WERE_LATE = "not judged: this process was late"
SWEEP_SECONDS = 0.5      # two looks at the deadlines: the server ends a peer no earlier than its deadline, and this much later
TOLERANCE_SECONDS = 0.5  # for a busy machine
EARLY_SECONDS = 0.1      # our clock starts when the bytes are handed to the kernel
PATIENCE_SECONDS = 10    # behind the last moment at which a peer must be ended: then it is counted as never ended
LAG_STEP_SECONDS = 0.05
LAGS_KEPT = 2000


def put(body, fields=b""):
    return b"POST /put HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n" % len(body) + fields + b"\r\n" + body


VALUE_BYTES = 1 << 20  # of the large value
GET_VALUE = b"GET /kv/large HTTP/1.1\r\n" + HOST + b"\r\n"


def put_value(path, body, fields=b""):
    return b"PUT " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n" % len(body) + fields + b"\r\n" + body


BAD = [  # each with the status that refuses it
    (b"NONSENSE\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET /get?key=%zz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"GET /get HTTP/2.0\r\n" + HOST + b"\r\n", 505), (b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    (b"POST /put HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST /put HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n17zzz", 400),
    (b"POST /put HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    (b"POST /put HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n", 413),
    (b"GET /get?key=" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (b"GET /get?key=a HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n", 431),
    (put(b""), 400), (put(b"{"), 400), (put(b"[" * 16000), 400), (put(b'{"key":"a","key":"b","value":"c"}'), 400),
    (put(b'{"key":"\xff","value":""}'), 400), (put(b'{"key":"a","value":"' + b"x" * 257 + b'"}'), 400),
    (put(b'{"key":"a","value":"b"}', b"Origin: http://evil.example\r\n"), 403),
    (put_value(b"/kv/%zz", b"v"), 400), (put_value(b"/kv/", b"v"), 400), (put_value(b"/kv/a?x=1", b"v"), 400),
    (put_value(b"/kv/a", b"v", b"If-Match: unquoted\r\n"), 400), (put_value(b"/kv/a", b"v" * 200_000, b"Content-Range: x\r\n"), 400),
    (put_value(b"/kv/never-there", b"v", b'If-Match: "x"\r\n'), 412),
    (put_value(b"/kv/never-there", b"v" * 200_000, b"If-Match: *\r\nExpect: 100-continue\r\n"), 412),
    (put_value(b"/kv/a", b"v", b"Content-Encoding: gzip\r\n"), 415), (b"PUT /kv/a HTTP/1.1\r\n" + HOST + b"\r\n", 411),
    (b"PUT /kv/a HTTP/1.1\r\n" + HOST + b"Content-Length: 99000000\r\n\r\n", 413),
    (b"PUT /kv/a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n7530\r\n" + b"v" * 30_001 + b"\r\n", 400),
]


def allow_many_files():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Wrong(Exception):
    """The server did what it must not."""


async def read_reply(reader):
    """Status and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
    length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
    if not status or not length:
        raise Wrong("the answer is no HTTP")
    return int(status[1]), await reader.readexactly(int(length[1]))


async def read_to_end(reader):
    while await reader.read(65536):
        pass


@dataclasses.dataclass
class Deadlines:
    """Those the server was started with, in seconds. The defaults are the daemon's."""
    head: float = 10
    body: float = 10
    idle: float = 60
    write: float = 10

    def options(self):
        return [word for name in ("head", "body", "idle", "write")
                for word in (f"--{name}-timeout-ms", str(round(getattr(self, name) * 1000)))]

    def longest(self):
        return max(dataclasses.astuple(self))


class Peers:
    """Visits one server in the ways below. Runs in a process of its own, so as to take no time from measurements."""

    def __init__(self, port, deadlines=Deadlines(), seed=1, drip_seconds=0.2):
        self.port, self.deadlines, self.drip_seconds = port, deadlines, drip_seconds
        self.random = random.Random(seed)
        self.outcomes = {}     # of each way: how often each outcome
        self.worst_lag = 0.0
        self._lags = collections.deque(maxlen=LAGS_KEPT)
        self._lag_watch = None

    # ---- visits

    async def visit(self, way):
        """One connection. An exception that leaves it is a mistake of ours, not the server's."""
        if self._lag_watch is None:
            self._lag_watch = asyncio.create_task(self._watch_lag())
        outcome = await self._visit(way)
        of_way = self.outcomes.setdefault(way.__name__, {})
        of_way[outcome] = of_way.get(outcome, 0) + 1

    async def _visit(self, way):
        peer = socket.socket()
        peer.setblocking(False)
        if way in (self.never_reads, self.never_reads_value):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        began = self._now()
        try:
            await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", self.port))
            reader, writer = await asyncio.open_connection(sock=peer)
        except OSError as fault:
            peer.close()
            return f"not connected: {fault.strerror}"
        try:
            async with asyncio.timeout(self.deadlines.longest() + PATIENCE_SECONDS):
                return await way(reader, writer, began) or OK
        except TimeoutError:
            return "never ended"
        except Wrong as what:
            return str(what)
        except asyncio.IncompleteReadError as cut:
            return "ended inside an answer" if cut.partial else "ended without an answer"
        except ConnectionError:
            return "reset"
        finally:
            writer.transport.abort()

    @staticmethod
    def _now():
        return asyncio.get_running_loop().time()

    async def _watch_lag(self):
        """How late this process comes to look is no fault of the server."""
        while True:
            due = self._now() + LAG_STEP_SECONDS
            await asyncio.sleep(LAG_STEP_SECONDS)
            lag = self._now() - due
            self.worst_lag = max(self.worst_lag, lag)
            self._lags.append((due, lag))

    def _lag_since(self, began):
        lags = [lag for due, lag in self._lags if due + lag >= began]
        return max([0.0, self._now() - self._lags[-1][0] - LAG_STEP_SECONDS if self._lags else 0.0, *lags])

    def _in_time(self, began, deadline, not_before=None):
        """The connection has just ended: at its deadline?"""
        now = self._now()
        if now - (began if not_before is None else not_before) < deadline - EARLY_SECONDS:
            return "ended before its deadline"
        if now - began > deadline + SWEEP_SECONDS + TOLERANCE_SECONDS + self._lag_since(began):
            return TOO_LATE
        return OK

    # ---- what must be answered

    async def bad(self, reader, writer, began):
        request, status = self.random.choice(BAD)
        late = self._now() - began > self.deadlines.head / 2  # it may have been closed as idle
        writer.write(request)
        try:
            got, body = await read_reply(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            if late:
                return WE_WERE_LATE
            raise
        if got != status:
            return f"{status} was due, {got} came"
        return OK if body.startswith(b'{"status":"ERROR","message":"') else "the refusal is not JSON"

    async def pipelines(self, reader, writer, began):
        """A good one, for once: half-closes behind its requests and wants every reply, in order."""
        late = self._now() - began > self.deadlines.head / 2
        writer.write(GET * 50 + put(b'{"key":"a","value":"b"}') * 50)
        writer.write_eof()
        try:
            statuses = [(await read_reply(reader))[0] for _ in range(100)]
        except (asyncio.IncompleteReadError, ConnectionError):
            if late:
                return WE_WERE_LATE
            raise
        if await reader.read(1):
            return "more answers than requests"
        # 404: it may have been evicted; 503: there may be no room. Neither can be the answer to the other request.
        in_order = {*statuses[:50]} <= {200, 404} and {*statuses[50:]} <= {200, 503}
        return OK if in_order else "answers not in the order of the requests"

    # ---- what must be ended

    async def _drip(self, reader, writer, start, byte, deadline):
        began = self._now()  # before it is sent: this process may stand still in between
        writer.write(start)
        dripping = asyncio.create_task(self._keep_dripping(writer, byte))
        try:
            status, _ = await read_reply(reader)
            await read_to_end(reader)
        finally:
            dripping.cancel()
        return self._in_time(began, deadline) if status == 408 else f"408 was due, {status} came"

    async def _keep_dripping(self, writer, byte):
        while True:
            await asyncio.sleep(self.drip_seconds)
            writer.write(byte)

    async def slow_head(self, reader, writer, _):
        return await self._drip(reader, writer, b"GET /get?key=a HTTP/1.1\r\n" + HOST + b"X: ", b"x", self.deadlines.head)

    async def slow_body(self, reader, writer, _):
        return await self._drip(reader, writer, b"POST /put HTTP/1.1\r\n" + HOST + b"Content-Length: 9000\r\n\r\n{", b" ",
                                self.deadlines.body)

    async def silent(self, reader, writer, began):
        """Has sent nothing: it has as long as for a head."""
        if await reader.read(1):
            return "answered unasked"
        return self._in_time(began, min(self.deadlines.head, self.deadlines.idle))

    async def idle(self, reader, writer, _):
        asked = self._now()
        writer.write(GET)
        await read_reply(reader)
        if await reader.read(1):
            return "answered unasked"
        return self._in_time(asked, self.deadlines.idle)

    async def never_reads(self, reader, writer, began):
        writer.transport.pause_reading()
        progress = began
        while True:
            try:
                writer.write(GET * 100)
                await writer.drain()
                if writer.is_closing():
                    break
                progress = self._now()
            except ConnectionError:
                break
        return self._in_time(progress, self.deadlines.write, not_before=began)

    async def never_reads_value(self, reader, writer, _):
        """Asks for the large value once; empty lines show whether the connection is still there."""
        writer.transport.pause_reading()
        asked = self._now()
        writer.write(GET_VALUE)
        try:
            while not writer.is_closing():
                await asyncio.sleep(LAG_STEP_SECONDS)
                writer.write(b"\r\n")
                await writer.drain()
        except ConnectionError:
            pass
        return self._in_time(asked, self.deadlines.write)

    async def half_sent_value(self, reader, writer, _):
        whole = put_value(b"/kv/half-sent", b"v" * VALUE_BYTES)
        writer.write(whole[:-VALUE_BYTES // 2])
        await writer.drain()
        began = self._now()
        status, _ = await read_reply(reader)
        await read_to_end(reader)
        # A second more for each MiB of its length.
        return self._in_time(began, self.deadlines.body + VALUE_BYTES / 2**20) if status == 408 else f"408 was due, {status} came"

    async def noise(self, reader, writer, began):
        """It may mean anything; but there is nothing left to wait for."""
        writer.write(self.random.randbytes(self.random.randrange(1, 5000)))
        writer.write_eof()
        await read_to_end(reader)
        return OK if self._in_time(began, 0) == OK else TOO_LATE

    # ---- what is owed nothing

    async def resets(self, reader, writer, _):
        writer.write(put(b"x" * 100)[:-50])
        await asyncio.sleep(self.random.random() / 10)
        # Only so does closing send a reset.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def hangs_up(self, reader, writer, _):
        pass

    # ---- what came of it

    def report(self):
        return {"outcomes": self.outcomes, "worst_lag_seconds": round(self.worst_lag, 3)}


def print_report(peers):
    print(json.dumps(peers.report()), flush=True)


# ---- reading a report

NOT_JUDGED_AT_MOST = 0.02
LATE_AT_MOST = 0.002  # of a way's visits (one, of a few), and only where others kept the processors busy


def visits(report):
    return sum(sum(of_way.values()) for of_way in report["outcomes"].values())


def as_it_should_be(report, way):
    return report["outcomes"].get(way, {}).get(OK, 0)


def table(report):
    """Rows: a way, how many were judged, how many of them were as they should be."""
    return [[way, f"{sum(of_way.values()) - of_way.get(WE_WERE_LATE, 0):,}", f"{of_way.get(OK, 0):,}"]
            for way, of_way in sorted(report["outcomes"].items())]


def problems(report, ways, excuses=None):
    """What the server owed to peers and did not do, as sentences. `ways`: of each of them at least one must have been judged.
    `excuses`: given where others kept the processors busy; the few that were then ended late are told there instead."""
    found = []
    for way in ways:
        of_way = report["outcomes"].get(way, {})
        visited = sum(of_way.values())
        if not of_way.get(OK):
            found.append(f"{way}: none was as it should be")
        for outcome, count in sorted(of_way.items()):
            if outcome in (OK, WE_WERE_LATE):
                continue
            excused = excuses is not None and outcome == TOO_LATE and count <= max(1, LATE_AT_MOST * visited)
            (excuses if excused else found).append(f"{way}: {count:,} {outcome}")
        if of_way.get(WE_WERE_LATE, 0) > NOT_JUDGED_AT_MOST * visited:
            found.append(f"{way}: {of_way[WE_WERE_LATE]:,} of {visited:,} {WE_WERE_LATE}")
    return found
