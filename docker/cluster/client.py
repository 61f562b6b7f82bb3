"""Sends batches to the nodes of a cluster directly. Selects the node of each key as HAProxy does."""
import bisect, http.client, json, zlib


def mix(x):
    x = (x + 0x7ED55D16 + (x << 12)) & 0xFFFFFFFF
    x = x ^ 0xC761C23C ^ (x >> 19)
    x = (x + 0x165667B1 + (x << 5)) & 0xFFFFFFFF
    x = ((x + 0xD3A2646C) ^ (x << 9)) & 0xFFFFFFFF
    x = (x + 0xFD7046C5 + (x << 3)) & 0xFFFFFFFF
    return (x ^ 0xB55A4F09 ^ (x >> 16)) * 0xC0000001 & 0xFFFFFFFF


class Cluster:
    def __init__(self, nodes, weight=256, first=lambda i: 4096 * i):  # nodes: {id: "host:port"}; first: see README.md
        self.nodes, self.ring = nodes, sorted((mix(first(i) + j), i) for i in nodes for j in range(16 * weight))

    def node_of(self, key):  # bytes
        point, at = zlib.crc32(key), bisect.bisect(self.ring, (zlib.crc32(key),))
        before, after = self.ring[at - 1], self.ring[at % len(self.ring)]
        return (before if (point - before[0]) % 2**32 <= (after[0] - point) % 2**32 else after)[1]

    def batch(self, operations):  # their results in order; None where the node is not reachable: a miss
        owners, results = [self.node_of(each["key"].encode()) for each in operations], [None] * len(operations)
        for node in set(owners):
            places = [place for place, owner in enumerate(owners) if owner == node]
            connection = http.client.HTTPConnection(self.nodes[node], timeout=1)
            try:
                connection.request("POST", "/batch", json.dumps({"ops": [operations[place] for place in places]}))
                for place, result in zip(places, json.load(connection.getresponse())["results"]):
                    results[place] = result
            except OSError:
                pass
            finally:
                connection.close()
        return results
