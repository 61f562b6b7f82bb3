#!/usr/bin/env python3
"""The script all-nodes, the example client and the dashboard work with real caches.

    tools_test.py KEYVALUE_CACHE

Needs Debian's packages haproxy, prometheus and curl.
"""

import json
import os
import re
import subprocess
import sys
import unittest
import urllib.parse
import urllib.request

from cluster import CLUSTER, Client, Proxy, Setup, example_client, kv, needs, request_bytes, ring_options
from running import free_port, process, until

TOKEN = "token-of-the-test-0123456789"


class Case(Setup, unittest.TestCase):
    pass


class AllNodes(Case):
    def run_script(self, *arguments, **environment):
        needs("curl")
        return subprocess.run([CLUSTER / "all-nodes", *arguments], text=True, capture_output=True, timeout=60,
                              env={**os.environ, "no_proxy": "*", **environment})

    def test_flushes_and_saves_all_nodes_and_names_those_that_fail(self):
        folder = self.open_folder()
        tokens = folder / "tokens"
        tokens.write_text(f"read-write {TOKEN}\n")
        tokens.chmod(0o600)
        nodes = self.start_nodes(folder, 3, "--auth-token-file", str(tokens))
        nodes[2].end()
        nodes[2].options += ("--snapshot-file", str(folder / "snapshot"))
        nodes[2].start()
        urls = [f"http://127.0.0.1:{node.port}" for node in nodes]
        token = f"Authorization: Bearer {TOKEN}\r\n"

        def store():
            for node in nodes:
                with Client(node.port) as client:
                    self.assertIn(client.request("PUT", "/kv/a", b"v", token).status, (201, 204))

        def stored():
            found = []
            for node in nodes:
                with Client(node.port) as client:
                    found.append(client.request("GET", "/kv/a", fields=token).status == 200)
            return found

        store()
        done = self.run_script("POST", "/flush", *urls, KVCACHE_TOKEN=TOKEN)
        self.assertEqual((done.returncode, done.stderr, stored()), (0, "", [False] * 3))
        for url in urls:
            self.assertRegex(done.stdout, rf'(?m)^{url} {{"status":"OK"')

        store()
        done = self.run_script("POST", "/flush", *urls)  # without the token
        self.assertEqual((done.returncode, stored()), (1, [True] * 3))
        for url in urls:
            self.assertIn(f"{url} failed: ", done.stderr)

        done = self.run_script("POST", "/snapshot", *urls, KVCACHE_TOKEN=TOKEN)  # one node has a file
        self.assertEqual(done.returncode, 1)
        self.assertTrue((folder / "snapshot").is_file())
        self.assertEqual(re.findall(r"(?m)^(http\S+) failed", done.stderr), urls[:2])

        nodes[1].end()
        done = self.run_script("POST", "/flush", *urls, KVCACHE_TOKEN=TOKEN)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(re.findall(r"(?m)^(http\S+) failed", done.stderr), [urls[1]])
        nodes[1].start()
        self.assertEqual(stored(), [False, False, False])

        done = self.run_script("POST", "/flush")
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage", done.stderr)


class ExampleClient(Case):
    def setUp(self):
        self.example = example_client()
        self.folder = self.open_folder()

    def places(self, nodes):
        return {node.number: f"127.0.0.1:{node.port}" for node in nodes}

    def test_shares_its_keys_with_the_proxy_and_misses_those_of_a_node_that_is_down(self):
        nodes = self.start_nodes(self.folder, 3)
        weights = {1: 256, 2: 128, 3: 32}
        proxy = self.enterContext(Proxy(self.folder).run(nodes, weights))
        options = ring_options(self.example, proxy, weights)
        cluster = self.example.Cluster(self.places(nodes), weights, **options)
        keys = [f"käse {number}" for number in range(1500)]
        results = cluster.batch([{"op": "put", "key": key, "value": key} for key in keys])
        self.assertEqual({result["code"] for result in results}, {200})
        with Client(proxy.port) as client:
            replies = client.pipeline([request_bytes("GET", kv(key.encode())) for key in keys])
        self.assertEqual([reply.body.decode() for reply in replies], keys)
        results = cluster.batch([{"op": "get", "key": key} for key in keys])
        self.assertEqual([result["value"] for result in results], keys)

        nodes[0].end()
        results = cluster.batch([{"op": "get", "key": key} for key in keys])
        missed = [key for key, result in zip(keys, results, strict=True) if result is None]
        self.assertEqual(missed, [key for key in keys if cluster.node_of(key.encode()) == 1])
        print(f"{len(keys)} keys stored by batches to the nodes and found through HAProxy; {len(missed)} missed with a node down")

    def test_sends_a_token_and_returns_the_error_of_a_refused_batch_for_each_operation(self):
        tokens = self.folder / "tokens"
        tokens.write_text(f"read-write {TOKEN}\n")
        tokens.chmod(0o600)
        nodes = self.start_nodes(self.folder, 2, "--auth-token-file", str(tokens))
        operations = [{"op": "put", "key": f"key{number}", "value": "v"} for number in range(100)]
        allowed = self.example.Cluster(self.places(nodes), token=TOKEN).batch(operations)
        self.assertEqual({result["code"] for result in allowed}, {200})
        refused = self.example.Cluster(self.places(nodes)).batch(operations)
        self.assertEqual([result["status"] for result in refused], ["ERROR"] * len(operations))


class Dashboard(Case):
    def test_every_query_and_every_alert_finds_its_data(self):
        needs("prometheus")
        folder = self.open_folder()
        nodes = self.start_nodes(folder, 3)
        proxy = self.enterContext(Proxy(folder).run(nodes))
        config = folder / "prometheus.yml"
        targets = ", ".join(f'"127.0.0.1:{node.port}"' for node in nodes)
        config.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
                          f"rule_files: [{CLUSTER / 'alerts.yml'}]\nscrape_configs:\n"
                          f"  - {{job_name: keyvalue-cache, static_configs: [{{targets: [{targets}]}}]}}\n"
                          f"  - {{job_name: haproxy, static_configs: [{{targets: ['127.0.0.1:{proxy.statistics_port}']}}]}}\n")
        port = free_port()
        self.enterContext(process(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                                   f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log"))

        def query(expression):
            url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
            try:
                with urllib.request.urlopen(url, timeout=10) as reply:
                    return [(result["metric"], float(result["value"][1])) for result in json.load(reply)["data"]["result"]]
            except OSError:
                return []

        def scraped_enough():
            with Client(proxy.port) as client:
                client.pipeline([request_bytes("PUT", kv(b"%d" % number), b"v") for number in range(50)] +
                                [request_bytes("GET", kv(b"%d" % number)) for number in range(70)])
            counts = query("min(sum_over_time(up[5m]))")
            return len(query("up")) == 4 and counts and counts[0][1] >= 5

        until("each target is scraped five times", scraped_enough)
        asked = 0
        for panel in json.loads((CLUSTER / "dashboard.json").read_text())["panels"]:
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "30s").replace("$instance", ".*")
                found = query(expression)
                with self.subTest(panel["title"], query=expression):
                    self.assertTrue(found)
                    self.assertTrue(all(value == value and abs(value) != float("inf") for _, value in found), found)
                    by_instance = re.search(r"\{\{(instance|server)\}\}", target["legendFormat"])
                    if by_instance:
                        self.assertEqual(len({metric[by_instance[1]] for metric, _ in found}), 3)
                    asked += 1
        totals = {panel["title"]: [target["legendFormat"] for target in panel["targets"]]
                  for panel in json.loads((CLUSTER / "dashboard.json").read_text())["panels"] if "by node" in panel["title"]}
        for title, legends in totals.items():
            self.assertTrue({"{{instance}}", "total"} <= set(legends), title)
        for expression in ('haproxy_server_status{proxy="nodes",state="UP"}', 'up{job="haproxy"}',
                           "avg(sum by (instance) (rate(keyvalue_cache_requests_total[30s])))"):
            self.assertTrue(query(expression), expression)
        print(f"{asked} queries of the dashboard return numbers")

    def test_panels_are_distinct_and_do_not_overlap(self):
        panels = json.loads((CLUSTER / "dashboard.json").read_text())["panels"]
        cells = [(x, y) for panel in panels for place in [panel["gridPos"]]
                 for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]
        self.assertEqual(len(cells), len(set(cells)))
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))


if __name__ == "__main__":
    Case.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
