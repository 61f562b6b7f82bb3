"""A client that sends batches to the nodes of a cluster directly: it selects the nodes as HAProxy does."""
import bisect, http.client, json, zlib


def mix(x):  # Jenkins' 32-bit integer hash and a multiplication: a bijection
    x = (x + 0x7ED55D16 + (x << 12)) & 0xFFFFFFFF
    x = x ^ 0xC761C23C ^ (x >> 19)
    x = (x + 0x165667B1 + (x << 5)) & 0xFFFFFFFF
    x = ((x + 0xD3A2646C) ^ (x << 9)) & 0xFFFFFFFF
    x = (x + 0xFD7046C5 + (x << 3)) & 0xFFFFFFFF
    return (x ^ 0xB55A4F09 ^ (x >> 16)) * 0xC0000001 & 0xFFFFFFFF


class Cluster:
    def __init__(self, nodes, weight=256):  # {id: "host:port"}
        self.nodes, self.ring = nodes, sorted((mix(i * 4096 + j), i) for i in nodes for j in range(weight * 16))

    def node_of(self, key):  # bytes; the node with the nearest point
        point = zlib.crc32(key)
        at = bisect.bisect_left(self.ring, (point,))
        before, after = self.ring[at - 1], self.ring[at % len(self.ring)]
        return (before if (point - before[0]) % 2**32 <= (after[0] - point) % 2**32 else after)[1]

    def batch(self, operations):  # results in their order; None where the node is not reachable
        results = [None] * len(operations)
        owners = [self.node_of(operation["key"].encode()) for operation in operations]
        for node in set(owners):
            mine = [at for at, owner in enumerate(owners) if owner == node]
            try:
                connection = http.client.HTTPConnection(self.nodes[node], timeout=1)
                connection.request("POST", "/batch", json.dumps({"ops": [operations[at] for at in mine]}))
                for at, result in zip(mine, json.load(connection.getresponse())["results"]):
                    results[at] = result
            except OSError:
                pass
        return results
