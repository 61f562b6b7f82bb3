"""Sends batches to the nodes of a cluster directly. Selects the node of each key as HAProxy does."""
import bisect, contextlib, http.client, json, zlib


def mix(x):
    x = (x + 0x7ED55D16 + (x << 12)) & 0xFFFFFFFF
    x = x ^ 0xC761C23C ^ (x >> 19)
    x = (x + 0x165667B1 + (x << 5)) & 0xFFFFFFFF
    x = ((x + 0xD3A2646C) ^ (x << 9)) & 0xFFFFFFFF
    x = (x + 0xFD7046C5 + (x << 3)) & 0xFFFFFFFF
    return (x ^ 0xB55A4F09 ^ (x >> 16)) * 0xC0000001 & 0xFFFFFFFF


class Cluster:  # nodes: {id: "host:port"}; weights: {id: weight} of those that have another than 256; first: see README.md
    def __init__(self, nodes, weights={}, token="", first=lambda i: 4096 * i):
        self.nodes, self.headers = nodes, {"Authorization": f"Bearer {token}"} if token else {}
        self.ring = sorted((mix(first(i) + j), i) for i in nodes for j in range(16 * weights.get(i, 256)))

    def node_of(self, key):  # bytes
        point, at = zlib.crc32(key), bisect.bisect(self.ring, (zlib.crc32(key),))
        before, after = self.ring[at - 1], self.ring[at % len(self.ring)]
        return (before if (point - before[0]) % 2**32 <= (after[0] - point) % 2**32 else after)[1]

    def batch(self, operations):  # results in order; None where the node is not reachable: a miss
        owners, results = [self.node_of(each["key"].encode()) for each in operations], [None] * len(operations)
        for node in set(owners):
            places = [place for place, owner in enumerate(owners) if owner == node]
            body = json.dumps({"ops": [operations[place] for place in places]})
            connection = http.client.HTTPConnection(self.nodes[node], timeout=1)
            with contextlib.closing(connection), contextlib.suppress(OSError):
                connection.request("POST", "/batch", body, self.headers)
                response = json.load(connection.getresponse())
                for place, result in zip(places, response.get("results", [response] * len(places))):
                    results[place] = result  # if the node refuses the batch, its error
        return results
