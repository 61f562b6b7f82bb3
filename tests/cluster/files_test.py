#!/usr/bin/env python3
"""The files of docker/cluster are valid for the programs that read them, and agree with each other.

    files_test.py KEYVALUE_CACHE

Needs Debian's packages haproxy, prometheus (promtool), systemd, shellcheck, python3-yaml.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

from cluster import CLUSTER, CONFIG, needs

DOCKER = CLUSTER.parent
ALERTS = CLUSTER / "alerts.yml"
HERE = pathlib.Path(__file__).parent
README = (CLUSTER / "README.md").read_text()


def run(*command, **more):
    needs(command[0])
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))


class Haproxy(Folder):
    def check(self, nodes, **environment):
        return run("haproxy", "-c", "-V", "-f", str(CONFIG), "-f", str(CLUSTER / nodes), env={
            **os.environ, "KVCACHE_CLUSTER_DIR": str(CLUSTER), "KVCACHE_CLUSTER_SOCKET": str(self.folder / "s"), **environment})

    def test_both_lists_of_nodes_are_valid_without_a_warning(self):
        for nodes in ("nodes.cfg", "nodes-by-name.cfg"):
            self.assertNotIn("WARNING", self.check(nodes).upper())

    def test_a_mistake_is_found(self):
        with self.assertRaises(AssertionError):
            self.check("nodes.cfg", KVCACHE_NODE1="127.0.0.1:port")

    def test_every_variable_is_described(self):
        described = set(re.findall(r"^#   (KVCACHE_\w+) ", CONFIG.read_text(), re.MULTILINE))
        used = {name for file in CLUSTER.glob("*.*") if file.suffix in (".cfg", ".lua")
                for name in re.findall(r'(?:\$\{|defined\(|getenv\(")(KVCACHE_\w+)', file.read_text())}
        self.assertEqual(described, {name for name in used if not name.startswith("KVCACHE_NODE")})
        for name in described:
            self.assertIn(f"`{name}`", README)

    def test_errors_are_those_of_the_single_cache(self):
        def statuses(path):
            return re.findall(r"http-error status (\d+) ", path.read_text())

        self.assertEqual(statuses(CONFIG), statuses(DOCKER / "haproxy/haproxy.cfg"))

    def test_the_task_is_short_enough_to_be_read(self):
        for name, most in (("rejoin.lua", 40), ("client.py", 30)):
            lines = [line for line in (CLUSTER / name).read_text().splitlines() if line and not line.startswith("--")]
            self.assertLessEqual(len(lines), most, name)


class Prometheus(Folder):
    def test_configuration_is_valid_where_compose_mounts_it(self):
        for volume in services()["prometheus"]["volumes"]:
            source, target, *_ = volume.split(":")
            if target.startswith("/etc/prometheus/"):
                shutil.copy(CLUSTER / source, self.folder / pathlib.Path(target).name)
        output = run("promtool", "check", "config", str(self.folder / "prometheus.yml"))
        for name in ("alerts.yml", "cache-alerts.yml"):
            self.assertIn(f"Checking {self.folder / name}\n  SUCCESS", output)

    def test_each_alert_fires_exactly_when_it_should(self):
        rules = HERE / "alert_rules_test.yml"
        run("promtool", "test", "rules", str(rules))
        for alert in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]:
            self.assertIn(alert["alert"], rules.read_text())
            self.assertIn(f"`{alert['alert']}`", README)
            self.assertIn(alert["labels"]["severity"], {"critical", "warning", "info"})

    def test_each_service_is_scraped(self):
        jobs = yaml.safe_load((CLUSTER / "prometheus.yml").read_text())["scrape_configs"]
        targets = {target.split(":")[0] for job in jobs for target in job["static_configs"][0]["targets"]}
        self.assertEqual(targets, {*caches(), "haproxy"})


def services():
    return yaml.safe_load((CLUSTER / "compose.yaml").read_text())["services"]


def caches():
    return {name for name in services() if name.startswith("cache")}


class Compose(unittest.TestCase):
    def test_there_are_three_caches_without_a_snapshot(self):
        self.assertEqual(len(caches()), 3)
        for name in caches():
            cache = services()[name]
            self.assertNotIn("snapshot", json.dumps(cache))
            self.assertIn("--enable-flush", cache["command"])
            self.assertEqual(cache["mem_limit"], cache["memswap_limit"])
            self.assertNotIn("ports", cache)  # which everyone could flush

    def test_haproxy_reaches_all_of_them(self):
        names = re.findall(r"\$\{KVCACHE_NODE\d-(\w+):7171\}", (CLUSTER / "nodes-by-name.cfg").read_text())
        self.assertEqual(set(names), caches())
        command = services()["haproxy"]["command"]
        for path in (command[at + 1] for at, word in enumerate(command) if word == "-f"):
            self.assertTrue((CLUSTER / pathlib.Path(path).name).is_file())
        self.assertIn(".:/etc/haproxy:ro", services()["haproxy"]["volumes"])

    def test_every_service_is_sandboxed_and_every_port_is_of_this_machine(self):
        for name, service in services().items():
            self.assertTrue(service["read_only"], name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertIn("no-new-privileges:true", service["security_opt"], name)
            self.assertIn("mem_limit", service, name)
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), name)

    def test_every_mounted_file_exists(self):
        for service in services().values():
            for volume in service.get("volumes", []):
                if volume.startswith("."):
                    self.assertTrue((CLUSTER / volume.split(":")[0]).exists(), volume)
        home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        self.assertIn(f"./dashboard.json:{home}:ro", services()["grafana"]["volumes"])


class Systemd(Folder):
    def verify(self, unit):
        return run("systemd-analyze", "verify", "--man=no", str(unit)).strip()

    def installed(self, source, name, drop_in, **replaced):
        """The unit with its drop-in, as the first lines of the drop-in describe; `replaced` are programs missing here."""
        unit = self.folder / name
        unit.write_text(pathlib.Path(source).read_text())
        added = self.folder / f"{name}.d"
        added.mkdir()
        text = (CLUSTER / "systemd" / drop_in).read_text()
        for one, other in replaced.values():
            self.assertIn(one, text)
            text = text.replace(one, other)
            unit.write_text(unit.read_text().replace(one, other))
        (added / drop_in).write_text(text)
        return unit

    def node(self):
        return self.installed(DOCKER / "systemd/keyvalue-cache.service", "keyvalue-cache@.service", "node.conf",
                              program=("/usr/local/bin/keyvalue-cache", "/bin/true"))

    def test_a_node_is_valid(self):
        unit = self.node()
        self.assertEqual(self.verify(unit.with_name("keyvalue-cache@7171.service")), "")

    def test_a_mistake_in_its_drop_in_is_found(self):
        unit = self.node()
        (self.folder / "keyvalue-cache@.service.d/worse.conf").write_text("[Service]\nEnvironmentFiles=x\n")
        with self.assertRaises(AssertionError):
            self.assertEqual(self.verify(unit.with_name("keyvalue-cache@7171.service")), "")

    def test_a_node_runs_with_its_options(self):
        text = (CLUSTER / "systemd/node.conf").read_text()
        environment = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))
        words = shlex.split(re.search(r"^ExecStart=(\S.*)$", text, re.MULTILINE)[1].replace("%i", "7175"))
        shown = run(self.program, *words[1:], "--print-config", env=environment)
        for line in ("port=7175 ", "enable-flush=true ", "drain-delay-ms=4000 "):
            self.assertRegex(shown, f"(?m)^{line}")

    def test_haproxy_is_valid_and_its_command_too(self):
        source = "/lib/systemd/system/haproxy.service"
        unit = self.installed(source, "haproxy.service", "haproxy.conf")
        self.assertEqual(self.verify(unit), "")
        # The command of the unit, with the folder of this test instead of /etc/haproxy and /run/haproxy.
        values = {}
        for text in (unit.read_text(), (CLUSTER / "systemd/haproxy.conf").read_text()):
            for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE):
                values.update(word.split("=", 1) for word in shlex.split(line))
        reload_check = re.search(r"^ExecReload=(.* -c .*)$", unit.read_text(), re.MULTILINE)[1]
        for name, value in values.items():
            reload_check = reload_check.replace(f"${name}", value)
        for file in (*CLUSTER.glob("*.cfg"), *CLUSTER.glob("*.lua")):
            shutil.copy(file, self.folder)
        command = shlex.split(reload_check.replace("/etc/haproxy", str(self.folder)).replace("/run/haproxy", str(self.folder)))
        self.assertIn(str(self.folder / "nodes.cfg"), command)
        run(*command, env={**os.environ, "KVCACHE_CLUSTER_DIR": str(self.folder),
                           "KVCACHE_CLUSTER_SOCKET": str(self.folder / "admin.sock")})

    def test_haproxy_has_enough_files(self):
        connections = int(re.search(r"^    maxconn (\d+)", CONFIG.read_text(), re.MULTILINE)[1])
        for text, pattern in (((CLUSTER / "systemd/haproxy.conf").read_text(), r"^LimitNOFILE=(\d+)"),
                              ((CLUSTER / "compose.yaml").read_text(), r"^      nofile: (\d+)")):
            self.assertGreater(int(re.search(pattern, text, re.MULTILINE)[1]), 2 * connections + 1000)


class Script(unittest.TestCase):
    def test_shellcheck_finds_nothing(self):
        self.assertEqual(run("shellcheck", str(CLUSTER / "all-nodes")), "")


if __name__ == "__main__":
    Systemd.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
