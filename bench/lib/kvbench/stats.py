"""What the daemon tells of itself at /stats."""

import http.client
import json


class Reader:
    """Keeps its connection: a daemon that refuses further ones goes on answering this one."""

    def __init__(self, port, timeout=5):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def read(self):
        """OSError where there is no answer, or not the one that was asked for."""
        try:
            self._connection.request("GET", "/stats")
            reply = self._connection.getresponse()
            body = reply.read()
        except http.client.HTTPException as fault:
            self._connection.close()
            raise OSError(f"/stats: {fault!r}") from fault
        except OSError:
            self._connection.close()
            raise
        if reply.status != 200:
            raise OSError(f"/stats was answered by {reply.status}")
        return json.loads(body)

    def close(self):
        self._connection.close()


def read(port):
    reader = Reader(port)
    try:
        return reader.read()
    finally:
        reader.close()


def evictions(stats):
    """All entries that left though nobody erased them and they had not expired."""
    return sum(count for cause, count in stats["eviction"]["evictions"].items() if cause != "expired")
