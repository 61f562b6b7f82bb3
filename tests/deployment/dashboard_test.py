#!/usr/bin/env python3
"""Every query of the dashboard and every alert finds its data in a real Prometheus.

    dashboard_test.py KEYVALUE_CACHE

Starts the daemon and Debian's prometheus on free ports of 127.0.0.1, sends traffic, lets Prometheus
scrape it with the rules of docker/, and evaluates each query. A dashboard query must return at least
one series, and only finite numbers. The expression of an alert must have data: evaluated with the
modifier bool, it returns 0 or 1 instead of filtering.
"""

import http.client
import json
import math
import pathlib
import re
import shutil
import sys
import tempfile
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import daemon, free_port, process, until  # noqa: E402

DOCKER = pathlib.Path(__file__).resolve().parents[2] / "docker"
DASHBOARD = DOCKER / "grafana/dashboards/keyvalue-cache.json"
SCRAPES_NEEDED = 5

CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files:
  - {rules}
scrape_configs:
  - job_name: keyvalue-cache
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


class Cache:
    def __init__(self, port):
        self.port = port

    def request(self, method, target, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, target, body)
            return connection.getresponse().status
        finally:
            connection.close()

    def is_ready(self):
        try:
            return self.request("GET", "/readyz") == 200
        except OSError:
            return False

    def send_traffic(self):
        """Requests of every kind that is counted."""
        put = json.dumps({"key": "a", "value": "b"})
        assert self.request("POST", "/put", put) == 200
        assert self.request("GET", "/get?key=a") == 200
        assert self.request("GET", "/get?key=never-stored") == 404
        assert self.request("POST", "/delete", json.dumps({"key": "a"})) == 200
        assert self.request("POST", "/put", "no JSON") == 400
        assert self.request("POST", "/batch", json.dumps({"ops": [{"op": "get", "key": "a"}]})) == 200


class PrometheusServer:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path, **parameters):
        url = f"{self.base}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.base}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def query(self, expression):
        return self.get("/api/v1/query", query=expression)["data"]["result"]

    def scrapes(self):
        counted = self.query('sum_over_time(up{job="keyvalue-cache"}[5m])')
        return float(counted[0]["value"][1]) if counted else 0

    def alerting_rules(self):
        for group in self.get("/api/v1/rules")["data"]["groups"]:
            yield from group["rules"]


def dashboard_queries():
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        yield variable["name"], re.fullmatch(r"label_values\((.*), \w+\)", variable["definition"])[1]


def filled_in(query):
    """The query with the variables of Grafana replaced by values."""
    return query.replace("$__rate_interval", "30s").replace("$instance", ".*")


def with_bool(expression):
    return re.sub(r"\s(==|!=|>=|<=|>|<)\s", r" \1 bool ", expression)


class Dashboard(unittest.TestCase):
    program = ""  # set by main

    @classmethod
    def setUpClass(cls):
        if shutil.which("prometheus") is None:
            raise AssertionError("prometheus is missing; it is Debian's package 'prometheus'")
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        running = cls.enterClassContext(daemon(cls.program, folder / "cache.log", "--snapshot-file",
                                           str(folder / "snapshot"), "--snapshot-interval-s", "1"))
        cls.cache = Cache(running.port)
        until("the daemon is ready", cls.cache.is_ready)

        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(rules=DOCKER / "prometheus/alerts.yml",
                                        port=cls.cache.port))
        port = free_port()
        cls.enterClassContext(
            process(["prometheus", f"--config.file={config}",
                     f"--storage.tsdb.path={folder / 'data'}",
                     f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log"))
        cls.prometheus = PrometheusServer(port)
        until("Prometheus is ready", cls.prometheus.is_ready)

        def scraped_enough():
            cls.cache.send_traffic()
            return cls.prometheus.scrapes() >= SCRAPES_NEEDED

        until(f"{SCRAPES_NEEDED} scrapes succeed", scraped_enough)

    def test_prometheus_accepts_every_line(self):
        target, = self.prometheus.get("/api/v1/targets")["data"]["activeTargets"]
        self.assertEqual((target["health"], target["lastError"]), ("up", ""))

    def test_every_dashboard_query_returns_numbers(self):
        for title, query in dashboard_queries():
            with self.subTest(panel=title, query=query):
                series = self.prometheus.query(filled_in(query))
                self.assertTrue(series, "no series")
                for one in series:
                    self.assertTrue(math.isfinite(float(one["value"][1])), one)

    def test_every_alert_has_data(self):
        rules = list(self.prometheus.alerting_rules())
        self.assertTrue(rules)
        for rule in rules:
            with self.subTest(alert=rule["name"]):
                self.assertNotEqual(with_bool(rule["query"]), rule["query"])
                self.assertTrue(self.prometheus.query(with_bool(rule["query"])), "no series")

    def test_every_alert_can_be_evaluated(self):
        until("all rules were evaluated", lambda: all(
            rule["health"] == "ok" for rule in self.prometheus.alerting_rules()))


if __name__ == "__main__":
    Dashboard.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
