"""Snapshot files, read and written by src/snapshot/README.md alone: no code is shared with the program.

  file_format.py FILE   prints the entries of a file
"""

import struct
import sys
import typing

MAGIC = b"\x89kvc\r\n\x1a\n"
ENTRIES, LONG, CONTINUATION, END, EXPERIENCE = 1, 2, 3, 4, 5
TEXT = "text/plain; charset=utf-8"


def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


TABLE = list(crc_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Entry(typing.NamedTuple):
    key: bytes
    value: bytes
    type: str = ""
    is_utf8: bool = True
    expires_at_ms: int = 0
    uses: int = 0
    references: int = 0
    age: int = 0


# ---- writing ------------------------------------------------------------------------------------

def varint(number):
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def encoded(entry):
    kind = 0 if not entry.type else 1 if entry.type == TEXT else 2
    flags = (entry.uses | entry.references << 2 | bool(entry.expires_at_ms) << 4 | entry.is_utf8 << 5 | kind << 6)
    head = bytes([flags]) + varint(entry.age) + varint(len(entry.key)) + varint(len(entry.value))
    if entry.expires_at_ms:
        head += varint(entry.expires_at_ms)
    if kind == 2:
        head += bytes([len(entry.type)]) + entry.type.encode()
    return head + entry.key + entry.value


def header(sync, written_at_ms, entries, version=1):
    head = MAGIC + struct.pack("<IIQQQI", version, 0, sync, written_at_ms, entries, 0)
    return head + struct.pack("<I", crc32c(head))


def block(sync, kind, number, payload):
    head = struct.pack("<QIIII", sync, kind, number, len(payload), crc32c(payload))
    return head + struct.pack("<I", crc32c(head)) + payload


def totals(entries, size, complete=True):
    return struct.pack("<QQB", entries, size, complete)


# ---- reading ------------------------------------------------------------------------------------

class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        part = self.data[self.at:self.at + count]
        if len(part) != count:
            raise ValueError("an entry is incomplete")
        self.at += count
        return part

    def varint(self):
        number = shift = 0
        while True:
            byte, = self.take(1)
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def entry(self):
        flags, = self.take(1)
        age, key_bytes, value_bytes = self.varint(), self.varint(), self.varint()
        expires_at_ms = self.varint() if flags & 16 else 0
        kind = flags >> 6
        content_type = "" if kind == 0 else TEXT if kind == 1 else self.take(*self.take(1)).decode()
        return Entry(self.take(key_bytes), self.take(value_bytes), content_type, bool(flags & 32), expires_at_ms,
                     flags & 3, flags >> 2 & 3, age)

    def entries(self):
        while self.at < len(self.data):
            yield self.entry()


def blocks(data):
    """Kind and payload of each block of an undamaged file."""
    if data[:8] != MAGIC or struct.unpack_from("<I", data, 8)[0] != 1:
        raise ValueError("not a snapshot of version 1")
    if crc32c(data[:44]) != struct.unpack_from("<I", data, 44)[0]:
        raise ValueError("the header is damaged")
    sync = data[16:24]
    at, expected = 48, 0
    while at < len(data):
        head = data[at:at + 28]
        kind, number, length, payload_crc, head_crc = struct.unpack("<IIIII", head[8:])
        payload = data[at + 28:at + 28 + length]
        if (head[:8] != sync or crc32c(head[:24]) != head_crc or crc32c(payload) != payload_crc
                or number != expected or 28 + length > 256 << 10):
            raise ValueError(f"the block at {at} is damaged")
        yield kind, payload
        at, expected = at + 28 + length, expected + 1


def read(data):
    """All entries of a file, in its order, and whether it is complete."""
    found, long, complete = [], bytearray(), None
    for kind, payload in blocks(data):
        if long and kind != CONTINUATION:
            found.append(Bytes(bytes(long)).entry())
            long.clear()
        if kind == ENTRIES:
            found += Bytes(payload).entries()
        elif kind in (LONG, CONTINUATION):
            long += payload
        elif kind == END:
            entries, size, complete = struct.unpack("<QQB", payload)
            if entries != len(found) or size != sum(len(one.key) + len(one.value) for one in found):
                raise ValueError("the totals are wrong")
    return found, bool(complete)


def sample():
    """The file samples/version-1."""
    sync = 0x0807060504030201
    first = [Entry(b"plain", b"by POST /put", TEXT, True, 0, 3, 2, 5),
             Entry("caf\u00e9".encode(), b"", "", True, 0, 0, 0, 300),
             Entry(b"\x00\xff", bytes(range(256)), "image/png", False, 0, 1, 0, 70_000)]
    second = [Entry(b"expiring", b"in 2030", TEXT, True, 1_893_456_000_000),
              Entry(b"expired", b"in 2001", TEXT, True, 1_000_000_000_000)]
    long = Entry(b"long", b"0123456789" * 12, "x-own/type", True, 0, 2, 3, 1)
    parts = encoded(long)
    payloads = [(ENTRIES, b"".join(map(encoded, first))), (LONG, parts[:40]), (CONTINUATION, parts[40:100]),
                (CONTINUATION, parts[100:]), (ENTRIES, b"".join(map(encoded, second)))]
    everything = [*first, long, *second]
    payloads.append((END, totals(6, sum(len(one.key) + len(one.value) for one in everything))))
    return header(sync, 1_700_000_000_000, 6) + b"".join(
        block(sync, kind, number, payload) for number, (kind, payload) in enumerate(payloads))


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        for one in read(file.read())[0]:
            print(one)
