#!/usr/bin/env python3
"""The files in docker/ are valid for the tools that read them.

    deployment_files_test.py PRINT_SAMPLE_METRICS

PRINT_SAMPLE_METRICS prints a body of /metrics, which must contain every metric of the dashboard and the
alerts. Needs Debian's packages prometheus (promtool), haproxy, openssl, systemd, python3-yaml; a
missing one is a failure, not a skip.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DASHBOARD = DOCKER / "grafana/dashboards/keyvalue-cache.json"
ALERTS = DOCKER / "prometheus/alerts.yml"
METRIC = re.compile(r"\b(?:keyvalue_cache|process)_[a-z_]+")


def run(*command, **more):
    """Runs a command and returns its output; fails the test if the command fails or is missing."""
    if shutil.which(command[0]) is None:
        raise AssertionError(f"{command[0]} is missing: see the packages named in {__file__}")
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def threads_at_most():
    """The maximum of --threads, and a reserve for the other threads."""
    return 32 + int(re.search(r"threads_most = (\d+);",
                              (ROOT / "src/config/option_table.cpp").read_text())[1])


def dashboard_queries():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def alerts():
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from group["rules"]


class Prometheus(unittest.TestCase):
    def test_configuration_and_rules_are_valid(self):
        run("promtool", "check", "config", str(DOCKER / "prometheus/prometheus.yml"))

    def test_each_alert_fires_exactly_when_it_should(self):
        test = pathlib.Path(__file__).with_name("alert_rules_test.yml")
        run("promtool", "test", "rules", str(test))
        tested = test.read_text()
        for alert in alerts():
            self.assertIn(alert["alert"], tested)

    def test_each_alert_has_a_severity_and_a_description(self):
        page = (DOCKER / "README.md").read_text()
        for alert in alerts():
            self.assertIn(alert["labels"]["severity"], {"critical", "warning", "info"})
            self.assertTrue(alert["annotations"]["summary"])
            self.assertTrue(alert["annotations"]["description"])
            self.assertIn(f"`{alert['alert']}`", page)


class Metrics(unittest.TestCase):
    exposed = ""  # set by main

    def names(self):
        families = re.findall(r"^# TYPE (\w+)", self.exposed, re.MULTILINE)  # some have no sample yet
        return {*families, *re.findall(r"^(\w+)", self.exposed, re.MULTILINE)}

    def test_dashboard_and_alerts_use_only_existing_metrics(self):
        for where, query in [*dashboard_queries(), *((a["alert"], a["expr"]) for a in alerts())]:
            asked = set(METRIC.findall(query))
            self.assertTrue(asked or "up{" in query, where)
            self.assertLessEqual(asked, self.names(), where)

    def test_each_metric_is_documented(self):
        families = set(re.findall(r"^# TYPE (\w+)", self.exposed, re.MULTILINE))
        explained = set(METRIC.findall((DOCKER / "README.md").read_text()))
        self.assertEqual(families - explained, set())
        self.assertEqual(explained - families, set())


class Grafana(unittest.TestCase):
    def test_dashboard_has_distinct_panels_that_do_not_overlap(self):
        panels = json.loads(DASHBOARD.read_text())["panels"]
        self.assertEqual(len({p["id"] for p in panels}), len(panels))
        cells = [(x, y) for p in panels
                 for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
                 for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])]
        self.assertEqual(len(cells), len(set(cells)))
        self.assertLess(max(x for x, _ in cells), 24)

    def test_dashboard_shows_memory_and_the_marks_in_force(self):
        marks = {f"keyvalue_cache_{name}_threshold_ratio" for name in ("pressure", "emergency")}
        shown = [p for p in json.loads(DASHBOARD.read_text())["panels"]
                 if any("memory_used_bytes" in t["expr"] for t in p["targets"])]
        self.assertTrue(shown)
        for panel in shown:
            asked = {name for t in panel["targets"] for name in METRIC.findall(t["expr"])}
            self.assertLessEqual(marks, asked, panel["title"])
            self.assertNotIn("thresholds", panel["fieldConfig"]["defaults"], panel["title"])

    def test_dashboard_selects_only_processes_of_the_cache(self):
        for title, query in dashboard_queries():
            for selector in re.findall(r"\bprocess_[a-z_]+(\{[^}]*\}|)", query):
                self.assertIn('job="keyvalue-cache"', selector, title)

    def test_dashboard_uses_the_provisioned_data_source(self):
        text = (DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text()
        uids = {source["uid"] for source in yaml.safe_load(text)["datasources"]}
        used = set(re.findall(r'"type": "prometheus",\s*"uid": "([^"]*)"', DASHBOARD.read_text()))
        self.assertEqual(used, uids)

    def test_compose_mounts_the_files_of_the_provisioning(self):
        provider = yaml.safe_load(
            (DOCKER / "grafana/provisioning/dashboards/keyvalue-cache.yaml").read_text())
        path = provider["providers"][0]["options"]["path"]
        services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
        mounts = dict(volume.split(":")[1::-1] for volume in services["grafana"]["volumes"])
        self.assertTrue((DOCKER / mounts[path] / DASHBOARD.name).is_file())
        home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        self.assertEqual(home, f"{path}/{DASHBOARD.name}")


class Compose(unittest.TestCase):
    def setUp(self):
        self.services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]

    def test_every_service_is_sandboxed(self):
        for name, service in self.services.items():
            self.assertTrue(service["read_only"], name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertIn("no-new-privileges:true", service["security_opt"], name)
            self.assertIn("mem_limit", service, name)

    def test_every_port_is_published_to_this_machine_only(self):
        for name, service in self.services.items():
            for port in service["ports"]:
                self.assertTrue(port.startswith("127.0.0.1:"), name)

    def test_the_cache_has_a_health_check_and_no_swap(self):
        cache = self.services["cache"]
        self.assertEqual(cache["healthcheck"]["test"],
                         ["CMD", "keyvalue-cache", "--health-check"])
        self.assertEqual(cache["mem_limit"], cache["memswap_limit"])

    def test_the_cache_may_create_as_many_threads_as_its_options_allow(self):
        self.assertGreaterEqual(self.services["cache"]["pids_limit"], threads_at_most())

    def test_prometheus_scrapes_the_address_of_the_cache_in_compose(self):
        config = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())
        targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
        self.assertEqual(targets, ["cache:7171"])
        self.assertIn("127.0.0.1:7171:7171", self.services["cache"]["ports"])


class Haproxy(unittest.TestCase):
    def test_example_is_valid(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate, both = (f"{folder}/{name}.pem" for name in ("key", "cert", "both"))
            run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                "-subj", "/CN=localhost", "-keyout", key, "-out", certificate)
            pathlib.Path(both).write_text(
                pathlib.Path(certificate).read_text() + pathlib.Path(key).read_text())
            output = run("haproxy", "-c", "-V", "-f", str(DOCKER / "haproxy/haproxy.cfg"),
                         env={**os.environ, "KVCACHE_TLS_PEM": both})
            self.assertNotIn("WARNING", output.upper())


def default_of(flags):
    """The sum of the defaults of the options whose flags match; of those in milliseconds, in seconds."""
    rows = re.findall(rf"^\| `--(?:{flags})` \| `(\d+)` ", (ROOT / "src/config/README.md").read_text(), re.MULTILINE)
    return sum(map(int, rows)) / 1000


class Systemd(unittest.TestCase):
    def setUp(self):
        # The program is not installed on this machine: the unit is checked with another one.
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.unit = f"{folder.name}/keyvalue-cache.service"
        self.text = (DOCKER / "systemd/keyvalue-cache.service").read_text()
        self.assertIn("ExecStart=/usr/local/bin/keyvalue-cache\n", self.text)
        pathlib.Path(self.unit).write_text(
            self.text.replace("ExecStart=/usr/local/bin/keyvalue-cache", "ExecStart=/bin/true"))
        self.socket = shutil.copy(DOCKER / "systemd/keyvalue-cache.socket", folder.name)

    def set_to(self, name):
        return re.findall(rf"^{name}=(.*)$", self.text, re.MULTILINE)

    def assert_valid(self, *units):
        self.assertEqual(run("systemd-analyze", "verify", "--man=no", *(units or [self.unit])).strip(), "")

    def add_drop_in(self, name="tokens.conf"):
        drop_ins = pathlib.Path(f"{self.unit}.d")
        drop_ins.mkdir()
        shutil.copy(DOCKER / "systemd" / name, drop_ins)

    def test_unit_is_valid(self):
        self.assert_valid()

    def test_unit_is_valid_with_tokens(self):
        self.add_drop_in()
        self.assert_valid()

    def test_unit_is_valid_with_a_snapshot(self):
        self.add_drop_in("snapshot.conf")
        self.assert_valid()
        self.assertEqual(self.set_to("StateDirectory"), ["keyvalue-cache"])

    def test_socket_is_valid_with_its_service(self):
        self.assert_valid(self.socket, self.unit)

    def test_a_mistake_in_the_socket_is_found(self):
        socket = pathlib.Path(self.socket)
        socket.write_text(socket.read_text().replace("ListenStream=", "ListenTcp="))
        with self.assertRaises(AssertionError):
            self.assert_valid(self.socket, self.unit)

    def test_socket_is_a_single_one_at_the_default_address_where_the_health_check_looks(self):
        address, port = (re.search(rf"^\| `--{flag}` \| `(.*?)` ", (ROOT / "src/config/README.md").read_text(),
                                   re.MULTILINE)[1] for flag in ("bind", "port"))
        listens = re.findall(r"^Listen\w+=(.*)$", pathlib.Path(self.socket).read_text(), re.MULTILINE)
        self.assertEqual(listens, [f"{address}:{port}"])

    def test_unit_can_notify_systemd(self):
        self.assertEqual(self.set_to("Type"), ["notify"])
        self.assertIn("AF_UNIX", self.set_to("RestrictAddressFamilies")[0].split())

    def test_unit_has_more_time_to_stop_than_the_program_takes(self):
        margin_s = 2
        drain_ms = re.search(r"`--drain-timeout-ms` \| `auto` \|.* auto is (\d+), or (\d+) with --snapshot-file",
                             (ROOT / "src/config/README.md").read_text()).groups()
        longest_s = max(int(ms) for ms in drain_ms) / 1000 + default_of("snapshot-timeout-ms")
        self.assertGreater(longest_s, 0)
        self.assertGreaterEqual(int(self.set_to("TimeoutStopSec")[0]), longest_s + margin_s)

    def test_watchdog_waits_for_a_service_that_works(self):
        longest_interval_s = 1  # of --eviction-interval-ms
        self.assertIn("at most 1000 |", (ROOT / "src/config/README.md").read_text())
        self.assertGreater(int(self.set_to("WatchdogSec")[0]), 4 * longest_interval_s)

    def test_a_mistake_in_the_drop_in_is_found(self):
        self.add_drop_in()
        pathlib.Path(f"{self.unit}.d/worse.conf").write_text("[Service]\nSupplementaryGroup=x\n")
        with self.assertRaises(AssertionError):
            self.assert_valid()

    def test_unit_is_sandboxed(self):
        # The score of systemd, times ten: from 0 (sandboxed) to 100 (open); up to 20 is "OK".
        run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20",
            self.unit)

    def test_unit_is_always_restarted(self):
        self.assertEqual(self.set_to("StartLimitIntervalSec"), ["0"])
        self.assertEqual(self.set_to("RestartPreventExitStatus"), ["2"])

    def test_unit_may_create_as_many_threads_as_its_options_allow(self):
        self.assertGreaterEqual(int(self.set_to("TasksMax")[0]), threads_at_most())

    def test_the_token_file_is_not_a_credential_and_can_be_reloaded(self):
        text = (DOCKER / "systemd/tokens.conf").read_text()
        path = re.search(r"^Environment=KVCACHE_AUTH_TOKEN_FILE=(\S+)$", text, re.MULTILINE)[1]
        group = re.search(r"^SupplementaryGroups=(\S+)$", text, re.MULTILINE)[1]
        self.assertIn(f"install -m 640 -g {group} tokens {path} ", text)
        self.assertIn("ExecReload=/bin/kill -HUP $MAINPID\n", self.text)


if __name__ == "__main__":
    Metrics.exposed = run(sys.argv.pop(1))
    unittest.main(verbosity=2)
