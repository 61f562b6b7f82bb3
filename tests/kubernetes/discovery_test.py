#!/usr/bin/env python3
"""Two HAProxies of the Deployment find the pods by DNS, and send a key to the same pod, at whatever address it is.

    discovery_test.py KEYVALUE_CACHE

The pods are real caches on 127.0.0.2, 127.0.0.3, …, started with the arguments of the StatefulSet and one thread each. A
DNS server of the test stands for the cluster's: a name exists while its pod is ready. Needs Debian's package haproxy.
"""

import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from manifests import FOLDERS, assemble, of_kind, pod_of, port_of, probes_of, the_container  # noqa: E402
from nameserver import Nameserver  # noqa: E402
from deployed_haproxy import Deployment, Proxy, clean_environment  # noqa: E402
from running import until  # noqa: E402

KEYS = [f"key/{number}" for number in range(600)]
MARGIN_S = 5
CLUSTER_DNS_S = 30  # how long the cluster's DNS servers may keep an answer


def port_free_on(addresses):
    """A port that is free on all these addresses."""
    while True:
        with contextlib.ExitStack() as probes:
            port = 0
            try:
                for address in addresses:
                    probe = probes.enter_context(socket.socket())
                    probe.bind((address, port))
                    port = probe.getsockname()[1]
                return port
            except OSError:
                continue


class Client:
    """A connection that is kept. Thread-safety: none."""

    def __init__(self, address, port):
        self._connection = http.client.HTTPConnection(address, port, timeout=30)

    def ask(self, method, path, body=None):
        try:
            self._connection.request(method, path, body)
            reply = self._connection.getresponse()
            return reply.status, reply.read()
        except (http.client.HTTPException, OSError):
            self.close()
            raise

    def close(self):
        self._connection.close()


class Pods:
    """Caches with the names and the arguments of the StatefulSet's pods, and their DNS records."""

    def __init__(self, program, folder, nameserver):
        [node] = of_kind(assemble(FOLDERS["cluster"]), "StatefulSet")
        self._command = [program, *the_container(node)["args"], "--threads=1"]
        self._folder = folder
        self._nameserver = nameserver
        self.domain = ""
        self.port = port_free_on([f"127.0.0.{number}" for number in range(2, 10)])
        self.running = {}  # by name: process and address
        self._starts = 0

    def start(self, name, address):
        """Starts a pod; its name exists once it is ready."""
        self._starts += 1
        environment = clean_environment(KVCACHE_BIND=address, KVCACHE_PORT=str(self.port))
        with (self._folder / f"{name}.{self._starts}.log").open("wb") as log:
            running = subprocess.Popen(self._command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self.running[name] = running, address
        until(f"{name} is ready", lambda: self.is_ready(name))
        self.publish(name)

    def is_ready(self, name):
        running, address = self.running[name]
        assert running.poll() is None, f"{name} ended"
        with contextlib.suppress(OSError), contextlib.closing(Client(address, self.port)) as client:
            return client.ask("GET", "/readyz")[0] == 200

    def publish(self, name):
        self._nameserver.addresses = {**self._nameserver.addresses, f"{name}.{self.domain}": self.running[name][1]}

    def withdraw(self, name):
        addresses = dict(self._nameserver.addresses)
        del addresses[f"{name}.{self.domain}"]
        self._nameserver.addresses = addresses

    def stop(self, name):
        """As Kubernetes stops a pod: its name no longer exists, and it drains."""
        self.withdraw(name)
        running, _ = self.running[name]
        running.terminate()
        assert running.wait(timeout=60) == 0
        del self.running[name]

    def kill(self, name):
        self.withdraw(name)
        running, _ = self.running.pop(name)
        running.kill()
        running.wait()

    def stop_all(self):
        for running, _ in self.running.values():
            running.kill()
            running.wait()

    def call(self, name, method, path):
        with contextlib.closing(Client(self.running[name][1], self.port)) as client:
            return client.ask(method, path)


class Load:
    """Reads and writes through both proxies until it is left, and records each response that is no success."""

    def __init__(self, proxies):
        self.failures, self.requests = [], 0
        self._proxies = proxies
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()

    def _run(self):
        clients = [Client("127.0.0.1", proxy.port) for proxy in self._proxies]
        while not self._stopped.wait(0.002):
            self.requests += 1
            client, key = clients[self.requests % 2], KEYS[self.requests % len(KEYS)]
            method, body = ("PUT", b"load") if self.requests % 3 else ("GET", None)
            try:
                status, _ = client.ask(method, f"/kv/{key}", body)
            except (OSError, http.client.HTTPException) as error:
                status = repr(error)
            if status not in (200, 201, 204, 404):
                self.failures.append((method, key, status))
        for client in clients:
            client.close()


class Discovery(unittest.TestCase):
    program = ""  # set by main
    maxDiff = None

    def setUp(self):
        self.assertIsNotNone(shutil.which("haproxy"), "haproxy is missing: install Debian's package")
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.nameserver = Nameserver()
        self.addCleanup(self.nameserver.close)
        self.pods = Pods(self.program, self.folder, self.nameserver)
        self.addCleanup(self.pods.stop_all)
        self.proxies = [Proxy(self.folder / name, self.nameserver.address, self.pods.port) for name in ("first", "second")]
        self.pods.domain = self.proxies[0].domain

    def start_proxies(self):
        for proxy in self.proxies:
            self.enterContext(proxy.running())

    def start_cluster(self, count=3):
        for number in range(count):
            self.pods.start(f"cache-{number}", f"127.0.0.{number + 2}")
        self.start_proxies()
        self.wait_for_pods()

    def wait_for_pods(self):
        """Until both HAProxies use all pods at their present addresses, and no other."""
        expected = {name: f"{address}:{self.pods.port}" for name, (_, address) in self.pods.running.items()}
        for proxy in self.proxies:
            until(f"HAProxy uses {expected}", lambda proxy=proxy: proxy.nodes_in_use() == expected)

    def owners(self):
        """The pod of each key. The first HAProxy stores them all; the second must find each."""
        for name in self.pods.running:
            self.assertEqual(self.pods.call(name, "POST", "/flush")[0], 200)
        first, second = (Client("127.0.0.1", proxy.port) for proxy in self.proxies)
        for key in KEYS:
            self.assertEqual(first.ask("PUT", f"/kv/{key}", key.encode())[0], 201)
        for key in KEYS:
            self.assertEqual(second.ask("GET", f"/kv/{key}"), (200, key.encode()))
        first.close()
        second.close()
        found = {}
        for name, (_, address) in self.pods.running.items():
            with contextlib.closing(Client(address, self.pods.port)) as client:
                for key in KEYS:
                    if client.ask("GET", f"/kv/{key}")[0] == 200:
                        self.assertNotIn(key, found)
                        found[key] = name
        self.assertEqual(len(found), len(KEYS))
        return found

    def test_a_key_stays_at_the_name_of_its_pod(self):
        self.start_cluster()
        original = self.owners()
        self.assertEqual(set(original.values()), {"cache-0", "cache-1", "cache-2"})

        with self.subTest("a pod disappears"):
            self.pods.stop("cache-1")
            self.wait_for_pods()
            without = self.owners()
            moved = {key for key in KEYS if without[key] != original[key]}
            self.assertEqual(moved, {key for key in KEYS if original[key] == "cache-1"})

        with self.subTest("it returns at another address"):
            self.pods.start("cache-1", "127.0.0.6")
            self.wait_for_pods()
            self.assertEqual(self.owners(), original)

        with self.subTest("all return, each at the former address of another"):
            for name in ("cache-0", "cache-1", "cache-2"):
                self.pods.kill(name)
            for proxy in self.proxies:
                until("HAProxy uses none", lambda proxy=proxy: not proxy.nodes_in_use())
            for name, address in (("cache-2", "127.0.0.2"), ("cache-0", "127.0.0.6"), ("cache-1", "127.0.0.4")):
                self.pods.start(name, address)
            self.wait_for_pods()
            self.assertEqual(self.owners(), original)

    def test_scaling_moves_only_the_keys_of_the_new_node_and_no_request_fails(self):
        self.start_cluster()
        original = self.owners()
        with Load(self.proxies) as load:
            self.pods.start("cache-3", "127.0.0.5")
            self.wait_for_pods()
            requests = load.requests
            until("the fourth serves", lambda: load.requests > requests + len(KEYS))
        self.assertEqual(load.failures, [])
        grown = self.owners()
        moved = [key for key in KEYS if grown[key] != original[key]]
        self.assertEqual({grown[key] for key in moved}, {"cache-3"})
        self.assertTrue(0 < len(moved) <= (1 / 4 + 0.05) * len(KEYS), len(moved))

        with Load(self.proxies) as load:
            self.pods.stop("cache-3")
            self.wait_for_pods()
        self.assertEqual(load.failures, [])
        self.assertEqual(self.owners(), original)

    def test_a_restart_at_another_address_fails_no_request(self):
        self.start_cluster()
        with Load(self.proxies) as load:
            self.pods.stop("cache-2")
            self.pods.start("cache-2", "127.0.0.7")
            self.wait_for_pods()
            requests = load.requests
            until("it serves", lambda: load.requests > requests + len(KEYS))
        self.assertGreater(load.requests, len(KEYS))
        self.assertEqual(load.failures, [])

    def test_a_node_whose_name_was_gone_returns_empty(self):
        self.start_cluster()
        owners = self.owners()
        key = next(key for key in KEYS if owners[key] == "cache-1")
        client = Client("127.0.0.1", self.proxies[0].port)
        self.addCleanup(client.close)
        self.pods.withdraw("cache-1")
        for proxy in self.proxies:
            until("HAProxy forgets the address", lambda proxy=proxy: "cache-1" not in proxy.nodes_in_use())
        self.assertEqual(client.ask("PUT", f"/kv/{key}", b"newer")[0], 201)
        self.pods.publish("cache-1")
        self.wait_for_pods()
        self.assertEqual(self.pods.call("cache-1", "GET", f"/kv/{key}")[0], 404)

    def test_a_cluster_without_dns_continues(self):
        self.start_cluster()
        original = self.owners()
        self.nameserver.silent = True
        queries = self.nameserver.queries
        until("HAProxy repeats its queries", lambda: self.nameserver.queries > queries + 40)
        self.assertEqual(self.owners(), original)

    def test_probes(self):
        probes = {name: settings["httpGet"]["path"] for name, settings in probes_of(Deployment().container).items()}
        self.start_proxies()
        client = Client("127.0.0.1", self.proxies[0].probes)
        self.addCleanup(client.close)
        for name in ("startupProbe", "livenessProbe"):
            self.assertEqual(client.ask("GET", probes[name])[0], 200, name)
        self.assertEqual(client.ask("GET", probes["readinessProbe"])[0], 503)
        self.assertEqual(client.ask("GET", "/other")[0], 503)
        self.pods.start("cache-0", "127.0.0.2")
        self.wait_for_pods()
        for path in probes.values():
            self.assertEqual(client.ask("GET", path)[0], 200, path)
        with contextlib.closing(Client("127.0.0.1", self.proxies[0].statistics)) as statistics:
            status, metrics = statistics.ask("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertIn(b"haproxy_server_status", metrics)

    def test_sigusr1_finishes_requests_and_answers_on_idle_connections(self):
        self.start_cluster(1)
        proxy = self.proxies[0]
        idle, busy = (self.enterContext(socket.create_connection(("127.0.0.1", proxy.port), timeout=60)) for _ in range(2))
        get = b"GET /kv/a HTTP/1.1\r\nHost: cache\r\n\r\n"
        idle.sendall(get)
        self.assertIn(b"404", idle.recv(65536))
        busy.sendall(b"PUT /kv/a HTTP/1.1\r\nHost: cache\r\nContent-Length: 4\r\n\r\nva")
        until("HAProxy has accepted both", lambda: proxy.sessions("applications") == 2)
        proxy.process.send_signal(signal.SIGUSR1)
        until("HAProxy accepts no more", lambda: "Proxy applications stopped" in proxy.log.read_text())
        busy.sendall(b"lu")
        self.assertIn(b"201", busy.recv(65536))
        idle.sendall(get)
        reply = idle.recv(65536).lower()
        self.assertIn(b"200 ok", reply)
        self.assertIn(b"connection: close", reply)
        self.assertEqual(proxy.process.wait(timeout=60), 0)
        self.assertNotIn("hard-stop", proxy.log.read_text())


class Settings(unittest.TestCase):
    """HAProxy's configuration and the manifests agree. Nothing is started."""

    def setUp(self):
        objects = assemble(FOLDERS["cluster"])
        [self.node] = of_kind(objects, "StatefulSet")
        self.deployment = Deployment()
        self.text = "\n".join(text for files in self.deployment.maps.values() for text in files.values())
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def number(self, pattern):
        """The only number of this setting in HAProxy's configuration."""
        [found] = set(re.findall(rf"^(?:[^#\n]* )?{pattern}", self.text, re.MULTILINE))
        return int(found)

    def test_the_configuration_is_valid(self):
        command, environment = self.deployment.start_in(self.folder / "configuration")
        done = subprocess.run([*command, "-c"], env=clean_environment(**environment), text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual((done.returncode, done.stdout.replace("Configuration file is valid\n", "")), (0, ""))

    def test_each_port_of_the_container_is_bound(self):
        environment = self.deployment.environment()
        for name, variable in (("http", "KVCACHE_CLUSTER_BIND"), ("statistics", "KVCACHE_CLUSTER_STATS_BIND"),
                               ("probes", "KVCACHE_PROBES_BIND")):
            self.assertEqual(environment[variable], f":{port_of(self.deployment.container, name)}")
            self.assertIn(f"${{{variable}-", self.text)

    def test_every_variable_of_the_container_is_read(self):
        for name in self.deployment.environment():
            with self.subTest(name):
                self.assertTrue(f"${{{name}" in self.text or f"$({name})" in str(self.deployment.container["env"]))

    def test_the_socket_is_in_a_writable_volume(self):
        folder = os.path.dirname(self.deployment.environment()["KVCACHE_CLUSTER_SOCKET"])
        [mount] = [one for one in self.deployment.container["volumeMounts"] if one["mountPath"] == folder]
        [volume] = [one for one in self.deployment.pod["volumes"] if one["name"] == mount["name"]]
        self.assertIn("emptyDir", volume)

    def test_the_grace_period_exceeds_the_hook_and_the_soft_stop(self):
        hook = self.deployment.container["lifecycle"]["preStop"]["sleep"]["seconds"]
        stop = hook + self.number(r"hard-stop-after (\d+)m") * 60
        self.assertGreaterEqual(self.deployment.pod["terminationGracePeriodSeconds"], stop + MARGIN_S)

    def test_checks_notice_a_drain_before_connections_are_refused(self):
        detection = self.number(r"inter (\d+)s") * self.number(r"fall (\d+)") + self.number(r"timeout check (\d+)s")
        [delay] = [argument for argument in the_container(self.node)["args"] if argument.startswith("--drain-delay-ms=")]
        self.assertGreater(int(delay.partition("=")[2]), detection * 1000)

    def test_an_upgrade_waits_until_a_node_is_used(self):
        self.assertGreaterEqual(self.node["spec"]["minReadySeconds"], CLUSTER_DNS_S + MARGIN_S)

    def test_buffers_of_all_connections_fit_into_the_memory_limit(self):
        buffers = 2 * self.number(r"maxconn (\d+)") * self.number(r"tune\.bufsize (\d+)")
        limit = self.deployment.container["resources"]["limits"]["memory"]
        self.assertTrue(limit.endswith("Gi"), limit)
        self.assertLess(buffers, int(limit.removesuffix("Gi")) * 2**30)

    def test_the_pod_reads_the_cluster_s_nameservers(self):
        self.assertNotIn("KVCACHE_NAMESERVER", self.deployment.environment())
        self.assertEqual(self.deployment.pod.get("dnsPolicy", "ClusterFirst"), "ClusterFirst")
        self.assertEqual(pod_of(self.node).get("dnsPolicy", "ClusterFirst"), "ClusterFirst")


if __name__ == "__main__":
    Discovery.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
