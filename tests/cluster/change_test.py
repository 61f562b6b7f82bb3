#!/usr/bin/env python3
"""The cluster changes under load: a node is added, all are restarted, one node grows to three. No request fails.

    change_test.py KEYVALUE_CACHE

Needs Debian's package haproxy.
"""

import re
import signal
import sys
import unittest

from cluster import Client, Load, Proxy, Setup, kv, owners_of, request_bytes
from running import until

KEPT = [b"kept%d" % number for number in range(6000)]  # stored once
LOADED = [b"load%d" % number for number in range(400)]
DRAIN_DELAY_MS = "4000"  # README.md: at least 3000


class Change(Setup, unittest.TestCase):
    def start(self, nodes):
        return self.enterContext(Proxy(self.folder, f"proxy{nodes[-1].number}").run(nodes))

    def store_all(self):
        with Client(self.proxy.port) as client:
            replies = client.pipeline([request_bytes("PUT", kv(key), b"v") for key in KEPT])
        self.assertEqual({reply.status for reply in replies}, {201})

    def hits(self):
        with Client(self.proxy.port) as client:
            replies = client.pipeline([request_bytes("GET", kv(key)) for key in KEPT])
        return {key for key, reply in zip(KEPT, replies, strict=True) if reply.status == 200}

    def assert_all_served(self, load):
        self.assertEqual((load.failed, load.wrong), ([], []))

    def reload(self, nodes, weights=None):
        old = set(self.proxy.workers())
        self.proxy.write_nodes(nodes, weights)
        self.proxy.reload()
        until("the previous worker ends", lambda: not old & set(self.proxy.workers()))

    def test_a_fourth_node_added_by_a_reload_takes_only_its_share(self):
        self.folder = self.open_folder()
        nodes = self.start_nodes(self.folder, 4)
        self.proxy = self.start(nodes[:3])
        self.store_all()
        before = owners_of(self.proxy.port, KEPT)
        with Load(self.proxy.port, LOADED) as load:
            load.serves_more()
            self.reload(nodes)
            load.serves_more()
            after = owners_of(self.proxy.port, KEPT)
            hits = self.hits()
        moved = {key for key in KEPT if before[key] != after[key]}
        self.assertEqual({after[key] for key in moved}, {4})
        self.assertEqual(hits, set(KEPT) - moved)
        self.assertLessEqual(len(moved), len(KEPT) * (1 / 4 + 0.03))
        self.assertGreaterEqual(len(moved), len(KEPT) * (1 / 4 - 0.03))
        self.assert_all_served(load)
        print(f"a fourth node: {len(moved)} of {len(KEPT)} keys moved, all to it; {load.served} requests served, 0 failed")

    def test_restarts_one_after_the_other_fail_no_request(self):
        self.folder = self.open_folder()
        nodes = self.start_nodes(self.folder, 3, "--drain-delay-ms", DRAIN_DELAY_MS)
        self.proxy = self.start(nodes)
        with Load(self.proxy.port, LOADED) as load:
            load.serves_more()
            for node in nodes * 2:  # the same order each time
                node.signal(signal.SIGTERM)
                self.assertEqual(node.process.wait(timeout=60), 0)
                load.serves_more()
                node.start()
                until("the node serves again", lambda: self.proxy.states()[node.number].startswith("UP"))
                load.serves_more()
        self.assert_all_served(load)
        print(f"three nodes restarted twice: {load.served} requests served, 0 failed, 0 wrong, {len(load.missed)} missed")

    def test_a_request_under_way_is_completed_by_a_node_that_drains(self):
        self.folder = self.open_folder()
        nodes = self.start_nodes(self.folder, 2, "--drain-delay-ms", DRAIN_DELAY_MS)
        self.proxy = self.start(nodes)
        owner = nodes[owners_of(self.proxy.port, [b"slow"])[b"slow"] - 1]
        with Client(self.proxy.port) as client:
            client.send(b"PUT /kv/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nv")

            def has_arrived():
                with Client(owner.port) as direct:
                    shown = direct.request("GET", "/metrics").body.decode()
                return int(re.search(r"^keyvalue_cache_connections (\d+)", shown, re.MULTILINE)[1]) > 1

            until("the node has the beginning of the request", has_arrived)
            owner.signal(signal.SIGTERM)
            until("the node is taken out", lambda: self.proxy.states()[owner.number].startswith("MAINT"))
            client.send(b"v")
            reply = client.receive()
        self.assertEqual((reply.status, reply.node), (201, owner.number))
        self.assertEqual(owner.process.wait(timeout=60), 0)

    def test_one_node_grows_to_three_in_steps(self):
        self.folder = self.open_folder()
        nodes = self.start_nodes(self.folder, 3)
        self.proxy = self.start(nodes[:1])
        self.store_all()
        owners = dict.fromkeys(KEPT, 1)
        weights = {1: 256, 2: 0, 3: 0}
        held = set(KEPT)  # keys that never moved
        with Load(self.proxy.port, LOADED) as load:
            load.serves_more()
            self.reload(nodes, weights)
            self.assertEqual(owners_of(self.proxy.port, KEPT), owners)
            for number in (2, 3):  # one after the other: a key that moved never returns to a node that it left
                for weight in (32, 96, 256):
                    share_before = weights[number] / sum(weights.values())
                    weights[number] = weight
                    step = weight / sum(weights.values()) - share_before
                    self.proxy.command(f"set server nodes/node{number} weight {weight}")
                    load.serves_more(50)
                    now = owners_of(self.proxy.port, KEPT)
                    moved = {key for key in KEPT if now[key] != owners[key]}
                    self.assertEqual({now[key] for key in moved}, {number})
                    self.assertLessEqual(abs(len(moved) / len(KEPT) - step), 0.03)
                    held -= moved
                    owners = now
                    print(f"node {number} at weight {weight}: {len(moved)} of {len(KEPT)} keys moved, all to it")
            self.assertEqual(self.hits(), held)
            fresh = self.start(nodes)
            self.assertEqual(owners_of(fresh.port, KEPT), owners)
            self.reload(nodes)
            self.assertEqual(owners_of(self.proxy.port, KEPT), owners)
        self.assert_all_served(load)
        print(f"one node grew to three: {load.served} requests served, 0 failed; the ring is that of a fresh start")


if __name__ == "__main__":
    Change.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
