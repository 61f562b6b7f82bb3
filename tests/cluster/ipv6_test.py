#!/usr/bin/env python3
"""A node with an IPv6 address is taken out, flushed and used again.

    ipv6_test.py KEYVALUE_CACHE

Exits with 77 where the machine has no IPv6. Needs Debian's package haproxy.
"""

import socket
import sys
import unittest

from cluster import NODES, Proxy, Setup
from running import until


class Ipv6(Setup, unittest.TestCase):
    def test_a_node_returns(self):
        folder = self.open_folder()
        node, = self.start_nodes(folder, 1)
        node.end()
        node.options = ("--bind", "::1")
        node.is_ready = lambda: True
        node.start()
        proxy = self.enterContext(Proxy(folder, nodes_text=f"{NODES}    server node1 [::1]:{node.port} id 1\n").run([]))
        until("the node serves", lambda: proxy.states()[1] == "UP")
        node.end()
        until("the node is taken out", lambda: proxy.states()[1].startswith("MAINT"))
        node.start()
        until("the node serves again", lambda: proxy.states()[1].startswith("UP"))


if __name__ == "__main__":
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as reason:
        print(f"SKIPPED: no IPv6: {reason}")
        sys.exit(77)
    Ipv6.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
