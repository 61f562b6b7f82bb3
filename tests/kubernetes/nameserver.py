"""A DNS server for the tests: answers A queries from a table that the test changes.

An unknown name is NXDOMAIN; a known name has no record of any other type. Silent servers receive, and do not respond.
"""

import socket
import struct
import threading

TTL_S = 1
TYPE_A, CLASS_IN = 1, 1
NO_ERROR, NO_SUCH_NAME = 0, 3
RESPONSE, AUTHORITATIVE = 0x8000, 0x0400


def name_of(query):
    """The name in the question, in lower case, and where the name ends."""
    labels, position = [], 12
    while length := query[position]:
        labels.append(query[position + 1:position + 1 + length].decode("ascii").lower())
        position += 1 + length
    return ".".join(labels), position + 1


def response_to(query, addresses):
    """The DNS response to a query; addresses maps names to IPv4 addresses."""
    name, end = name_of(query)
    kind, _ = struct.unpack("!HH", query[end:end + 4])
    address = addresses.get(name)
    answer = b""
    if address and kind == TYPE_A:
        pointer_to_name = 0xC00C
        answer = struct.pack("!HHHIH", pointer_to_name, TYPE_A, CLASS_IN, TTL_S, 4) + socket.inet_aton(address)
    flags = RESPONSE | AUTHORITATIVE | (NO_ERROR if address else NO_SUCH_NAME)
    header = query[:2] + struct.pack("!HHHHH", flags, 1, 1 if answer else 0, 0, 0)
    return header + query[12:end + 4] + answer


class Nameserver:
    """Serves on a free UDP port of 127.0.0.1 until closed. Thread-safety: the test may replace `addresses` at any time."""

    def __init__(self):
        self.addresses = {}
        self.silent = False
        self.queries = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            query, peer = self._socket.recvfrom(4096)
            if self._closed.is_set():
                return
            self.queries += 1
            if not self.silent:
                self._socket.sendto(response_to(query, self.addresses), peer)

    def close(self):
        self._closed.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()
