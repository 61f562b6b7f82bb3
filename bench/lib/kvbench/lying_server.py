"""Servers that do not do what they owe to hostile peers, to see that `hostile` notices each of them."""

import asyncio
import socket
import struct

from . import hostile

DEADLINES = hostile.Deadlines(head=1, body=1, idle=1, write=1)
LATE_SECONDS = 3


def reply(status, body=b'{"status":"ERROR","message":"No."}'):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


async def say_after(seconds, text, reader, writer):
    await asyncio.sleep(seconds)
    writer.write(text)
    writer.write_eof()
    await hostile.read_to_end(reader)


async def say_nothing_for_ever(reader, writer):
    await hostile.read_to_end(reader)
    await asyncio.sleep(3600)


async def reset(reader, writer):
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says(seconds, text):
    return lambda reader, writer: say_after(seconds, text, reader, writer)


GETS, PUTS = reply(404) * 50, reply(200) * 50
CASES = [  # the way, how the server behaves, what must be noticed
    ("slow_head", says(1, reply(408)), hostile.OK), ("slow_body", says(1.2, reply(408)), hostile.OK),
    ("slow_head", says(1, b""), "ended without an answer"), ("slow_head", says(1, b"HTTP/1.1 408"), "ended inside an answer"),
    ("slow_head", says(0.3, reply(408)), "ended before its deadline"),
    ("slow_body", says(LATE_SECONDS, reply(408)), "ended too late"), ("slow_body", says(1, reply(200)), "408 was due, 200 came"),
    ("slow_body", say_nothing_for_ever, "never ended"), ("slow_head", reset, "reset"),
    ("silent", says(1, b""), hostile.OK), ("silent", says(0.3, b""), "ended before its deadline"),
    ("silent", say_nothing_for_ever, "never ended"), ("silent", says(1, reply(408)), "answered unasked"),
    ("idle", says(LATE_SECONDS, reply(200)), "ended too late"), ("idle", say_nothing_for_ever, "never ended"),
    ("never_reads", say_nothing_for_ever, "never ended"), ("never_reads", reset, "ended before its deadline"),
    ("noise", say_nothing_for_ever, "never ended"), ("noise", says(LATE_SECONDS, reply(400)), "ended too late"),
    ("bad", says(0, b""), "ended without an answer"), ("bad", reset, "reset"), ("bad", says(0, b"Hello.\r\n\r\n"), "the answer is no HTTP"),
    ("pipelines", says(0, GETS + PUTS), hostile.OK), ("pipelines", says(0, GETS + PUTS[:-5]), "ended inside an answer"),
    ("pipelines", says(0, GETS), "ended without an answer"), ("pipelines", says(0, GETS + PUTS + reply(200)), "more answers than requests"),
    ("pipelines", says(0, reply(200) + GETS + PUTS[len(reply(200)):]), "answers not in the order of the requests"),
]


async def _outcome(way, behaviour):
    async def serve(reader, writer):
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    peers = hostile.Peers(server.sockets[0].getsockname()[1], DEADLINES)
    await peers.visit(getattr(peers, way))
    (outcome,) = peers.outcomes[way]
    return outcome


async def unnoticed():
    """Sentences about the cases that came out otherwise than they must."""
    got = await asyncio.gather(*(_outcome(way, behaviour) for way, behaviour, _ in CASES))
    return [f"{way}: '{want}' was to be noticed, '{outcome}' was"
            for (way, _, want), outcome in zip(CASES, got) if outcome != want]
