#!/usr/bin/env python3
"""Nodes of the cluster fail under load: only their keys are missed, no value is outdated, and they return empty.

    outage_test.py KEYVALUE_CACHE

Needs Debian's package haproxy.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import unittest

from cluster import CLUSTER, Client, Load, Proxy, Setup, haproxy_version, kv, owners_of, request_bytes
from running import until

KEPT = [b"kept%d" % number for number in range(6000)]  # stored once
LOADED = [b"load%d" % number for number in range(400)]
VICTIM = 2


class Outage(Setup, unittest.TestCase):
    def setUp(self):
        self.folder = self.open_folder()
        self.nodes = self.start_nodes(self.folder, 3)
        self.victim = self.nodes[VICTIM - 1]
        self.proxy = self.enterContext(Proxy(self.folder).run(self.nodes))

    def store(self, keys, value):
        with Client(self.proxy.port) as client:
            replies = client.pipeline([request_bytes("PUT", kv(key), value) for key in keys])
        self.assertLessEqual({reply.status for reply in replies}, {201, 204})

    def values(self, keys):
        """The value of each key; None if it is missed."""
        with Client(self.proxy.port) as client:
            replies = client.pipeline([request_bytes("GET", kv(key)) for key in keys])
        self.assertLessEqual({reply.status for reply in replies}, {200, 404})
        return {key: reply.body if reply.status == 200 else None for key, reply in zip(keys, replies, strict=True)}

    def is_out(self):
        return self.proxy.states()[VICTIM].startswith("MAINT")

    def is_back(self):
        return self.proxy.states()[VICTIM].startswith("UP")

    def assert_refused(self, reply):
        self.assertIn(reply.status, (502, 503))  # not 504: no request waits for `timeout server`
        self.assertEqual(json.loads(reply.body)["status"], "ERROR")

    def test_a_killed_node_loses_only_its_keys_and_returns_empty(self):
        self.store(KEPT, b"1")
        owners = owners_of(self.proxy.port, KEPT + LOADED)
        self.assertEqual(set(owners.values()), {1, 2, 3})
        own = [key for key in KEPT if owners[key] == VICTIM]
        with Load(self.proxy.port, LOADED) as load:
            load.serves_more()
            self.victim.end()
            with Client(self.proxy.port) as client:  # no other node serves the key until the checks have found out
                self.assert_refused(client.request("PUT", kv(own[0]), b"2"))
            until("the node is taken out", self.is_out)
            failed_before = len(load.failed)
            load.serves_more()
            self.assertEqual(load.failed[failed_before + len(load.threads):], [])  # those that were under way
            found = self.values(KEPT)
            missed = [key for key in KEPT if found[key] is None]
            self.assertEqual(missed, own)

            self.victim.start()
            until("the node serves again", self.is_back)
            load.serves_more()
            with Client(self.victim.port) as client:
                self.assertEqual({client.request("GET", kv(key)).status for key in own[:100]}, {404})
            self.assertEqual(owners_of(self.proxy.port, KEPT + LOADED), owners)
        self.assertEqual(load.wrong, [])
        self.assertEqual({owners[key] for key, _ in load.failed}, {VICTIM})
        self.assertLessEqual(len(missed), len(KEPT) * (1 / 3 + 0.02))
        self.assertLessEqual({owners[key] for key in load.missed}, {VICTIM})
        print(f"killed 1 of 3: {len(missed)} of {len(KEPT)} keys missed, all of them its own; load: {load.served} requests "
              f"served, {len(load.failed)} failed and {len(load.missed)} missed, all for its keys; 0 wrong values")

    def test_a_node_that_hangs_is_taken_out_and_returns_without_outdated_values(self):
        self.store(KEPT, b"old")
        owners = owners_of(self.proxy.port, KEPT + LOADED)
        own = [key for key in KEPT if owners[key] == VICTIM]
        others = [key for key in KEPT if owners[key] != VICTIM]
        waiting = {}
        with Load(self.proxy.port, [key for key in LOADED if owners[key] != VICTIM]) as load:
            load.serves_more()
            self.victim.signal(signal.SIGSTOP)

            def wait_for_the_node():
                try:
                    with Client(self.proxy.port) as client:
                        waiting["reply"] = client.request("GET", kv(own[0]))
                except ConnectionError:
                    waiting["reply"] = None

            waiter = threading.Thread(target=wait_for_the_node)
            waiter.start()
            served = sum(value == b"old" for value in self.values(others).values())
            served_meanwhile = 0 if "reply" in waiting else served
            waiter.join()
            if waiting["reply"] is None:  # HAProxy 3 closes the connection instead of responding
                self.assertGreaterEqual(haproxy_version(), (3, 0))
            else:
                self.assert_refused(waiting["reply"])
            until("the node is taken out", self.is_out)
            self.store(own, b"new")
            self.assertTrue(self.is_out())
            self.victim.signal(signal.SIGCONT)
            reads = stale = missed = 0
            while True:
                back = self.is_back()
                for value in self.values(own[:200] if not back else own).values():
                    reads += 1
                    missed += value is None
                    stale += value not in (None, b"new")
                if back:
                    break
            load.serves_more()
            self.assertEqual(owners_of(self.proxy.port, KEPT), {key: owners[key] for key in KEPT})
        self.assertEqual((served, stale), (len(others), 0))
        self.assertEqual((load.wrong, load.failed, load.missed), ([], [], []))
        print(f"hung 1 of 3: {served_meanwhile} requests to the others served before the hung one ended with "
              f"{waiting['reply'] and waiting['reply'].status}; then {reads} reads of its keys: {missed} missed, {stale} outdated; "
              f"load on the others: {load.served} served, 0 failed")

    def test_values_that_others_took_during_an_outage_return_in_the_next_unless_they_are_flushed(self):
        """The limit that README.md describes, and its remedy."""
        owners = owners_of(self.proxy.port, KEPT)
        own = [key for key in KEPT if owners[key] == VICTIM]
        flushed, kept = own[::2], own[1::2]
        outdated = {}
        for remedy, keys in ((False, kept), (True, flushed)):
            self.restart_with(keys, during=b"during the outage")
            self.store(keys, b"after the outage")
            if remedy:
                subprocess.run([CLUSTER / "all-nodes", "POST", "/flush", *(f"http://127.0.0.1:{node.port}"
                               for node in self.nodes if node is not self.victim)], check=True, capture_output=True,
                               env={**os.environ, "no_proxy": "*"})
            self.victim.end()
            until("the node is taken out", self.is_out)
            outdated[remedy] = sum(value == b"during the outage" for value in self.values(keys).values())
            self.victim.start()
            until("the node serves again", self.is_back)
        print(f"second outage of the same node: {outdated[False]} of {len(kept)} values outdated; "
              f"{outdated[True]} of {len(flushed)} after the others were flushed")
        self.assertEqual(outdated, {False: len(kept), True: 0})

    def restart_with(self, keys, during):
        self.victim.end()
        until("the node is taken out", self.is_out)
        self.store(keys, during)
        self.victim.start()
        until("the node serves again", self.is_back)


if __name__ == "__main__":
    Outage.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
