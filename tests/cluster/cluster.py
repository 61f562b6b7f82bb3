"""Shared by the tests of the cluster: real caches, real HAProxy, and a client that knows which node responded."""

import contextlib
import importlib.util
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
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import PATIENCE_S, free_port, process, until  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "docker/cluster"
CONFIG = CLUSTER / "haproxy.cfg"

# Each response names its node. Otherwise as docker/cluster/nodes.cfg.
NODES = "backend nodes from cluster\n    http-response set-header X-Node %[srv_id]\n"


def kv(key):
    """The path of a key, given as bytes."""
    return "/kv/" + urllib.parse.quote(key, safe="")


def request_bytes(method, target, body=b"", fields=""):
    length = f"Content-Length: {len(body)}\r\n" if body or method in ("POST", "PUT") else ""
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{length}{fields}\r\n".encode() + body


class Reply:
    def __init__(self, head, body):
        self.status = int(head[9:12])
        self.head = head
        self.body = body

    def field(self, name):
        found = re.search(rf"^{name}: *(.*?)\r?$", self.head.decode("latin-1"), re.MULTILINE | re.IGNORECASE)
        return found and found[1]

    @property
    def node(self):
        """The id of the node that responded; None if HAProxy did."""
        found = self.field("x-node")
        return found and int(found)


class Client:
    """A keep-alive connection. Reconnects once the server has announced that it closes."""

    def __init__(self, port, address="127.0.0.1"):
        self.port, self.address = port, address
        self.socket = None
        self.received = None

    def close(self):
        if self.socket is not None:
            self.received.close()
            self.socket.close()
        self.socket = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        if self.socket is None:
            self.socket = socket.create_connection((self.address, self.port), timeout=PATIENCE_S)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.received = self.socket.makefile("rb")
        self.socket.sendall(data)

    def receive(self, has_body=True):
        lines = []
        while (line := self.received.readline()) not in (b"\r\n", b""):
            lines.append(line)
        if not lines:
            self.close()
            raise ConnectionError("closed without a response")
        reply = Reply(b"".join(lines), b"")
        length = reply.field("content-length")
        if has_body and length is not None:
            reply.body = self.received.read(int(length))
        elif has_body and reply.field("transfer-encoding") == "chunked":
            while size := int(self.received.readline(), 16):
                reply.body += self.received.read(size)
                self.received.readline()
            self.received.readline()
        elif has_body and reply.status not in (204, 304):
            raise AssertionError(f"no length in {reply.head}")
        if (reply.field("connection") or "").lower() == "close":
            self.close()
        return reply

    def request(self, method, target, body=b"", fields=""):
        try:
            self.send(request_bytes(method, target, body, fields))
            return self.receive(method != "HEAD")
        except OSError:
            self.close()
            raise

    def pipeline(self, requests, at_once=32):
        """Sends all, some at once, and returns their replies in order."""
        replies = []
        for start in range(0, len(requests), at_once):
            some = requests[start:start + at_once]
            self.send(b"".join(some))
            for index in range(len(some)):
                replies.append(self.receive())
                if self.socket is None and index + 1 < len(some):  # closed: the rest was not answered
                    self.send(b"".join(some[index + 1:]))
        return replies


class Node:
    def __init__(self, program, number, folder, *options):
        self.program, self.number, self.folder, self.options = program, number, folder, options
        self.port = free_port()
        self.starts = 0
        self.process = None

    def start(self):
        self.starts += 1
        log = self.folder / f"node{self.number}.{self.starts}.log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [self.program, "--port", str(self.port), "--threads", "1", "--enable-flush", *self.options],
                stdout=output, stderr=subprocess.STDOUT)
        until(f"node {self.number} is ready", self.is_ready)

    def is_ready(self):
        assert self.process.poll() is None, f"node {self.number} ended"
        try:
            with Client(self.port) as client:
                return client.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Kills it, also where it is stopped."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Proxy:
    """HAProxy with the shipped configuration and the given nodes, as a master with a worker."""

    def __init__(self, folder, name="haproxy", nodes_text=NODES, config=None, **environment):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        self.port, self.statistics_port = free_port(), free_port()
        self.nodes_file = self.folder / "nodes.cfg"
        self.nodes_text = nodes_text
        self.socket = self.folder / "admin.sock"
        self.config = config or CONFIG
        self.log = self.folder / "log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KVCACHE_")},
            "KVCACHE_CLUSTER_DIR": str(CLUSTER),
            "KVCACHE_CLUSTER_BIND": f"127.0.0.1:{self.port}",
            "KVCACHE_CLUSTER_STATS_BIND": f"127.0.0.1:{self.statistics_port}",
            "KVCACHE_CLUSTER_SOCKET": str(self.socket), **environment}

    def write_nodes(self, nodes, weights=None):
        lines = (f"    server node{node.number} 127.0.0.1:{node.port} id {node.number}"
                 f" weight {(weights or {}).get(node.number, 256)}\n" for node in nodes)
        self.nodes_file.write_text(self.nodes_text + "".join(lines))

    @contextlib.contextmanager
    def run(self, nodes, weights=None):
        self.write_nodes(nodes, weights)
        command = ["haproxy", "-W", "-db", "-f", str(self.config), "-f", str(self.nodes_file)]
        with process(command, self.log, env=self.environment) as self.process:
            until("HAProxy serves", self.is_serving)
            yield self

    def is_serving(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            with Client(self.port) as client:
                return client.request("GET", "/kv/%00none").status == 404
        except OSError:
            return False

    def workers(self):
        """The process ids of the master's workers: two for the time of a reload."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return children.read_text().split()

    def reload(self):
        before = set(self.workers())
        self.process.send_signal(signal.SIGUSR2)
        until("a new worker runs", lambda: set(self.workers()) - before)

    def command(self, text):
        """A command of the runtime API."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(self.socket))
            client.sendall(text.encode() + b"\n")
            return client.makefile("rb").read().decode()

    def states(self):
        """The state of each node, by its id: UP, DOWN, MAINT, …"""
        rows = [line.split(",") for line in self.command("show stat").splitlines()]
        names = rows[0]
        at = {name: names.index(name) for name in ("# pxname", "status", "sid", "type")}
        return {int(row[at["sid"]]): row[at["status"]] for row in rows[1:]
                if len(row) > 1 and row[at["# pxname"]] == "nodes" and row[at["type"]] == "2"}


def haproxy_version():
    """Major and minor number."""
    shown = subprocess.run(["haproxy", "-v"], check=True, capture_output=True, text=True).stdout
    return tuple(int(number) for number in re.search(r"version (\d+)\.(\d+)", shown).groups())


def example_client():
    """docker/cluster/client.py as a module."""
    specification = importlib.util.spec_from_file_location("client", CLUSTER / "client.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def ring_options(example, proxy, weights=None):
    """Options of the example client: README.md names the releases of HAProxy that need `first`."""
    if not (3, 0) <= haproxy_version() <= (3, 2):
        return {}
    keys = [b"%d" % number for number in range(500)]
    owners = owners_of(proxy.port, keys)
    ring = example.Cluster(dict.fromkeys(owners.values()), weights or {})
    return {} if {key: ring.node_of(key) for key in keys} == owners else {"first": example.mix}


def needs(*tools):
    for tool in tools:
        assert shutil.which(tool) is not None, f"{tool} is missing: install Debian's package"


class Setup:
    """Mixed into a test case: caches that end with the test."""

    program = ""  # set by main

    def open_folder(self):
        needs("haproxy")
        return pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def start_nodes(self, folder, count, *options):
        nodes = [Node(self.program, number, folder, *options) for number in range(1, count + 1)]
        for node in nodes:
            self.addCleanup(node.end)
            node.start()
        return nodes


def owners_of(port, keys):
    """The node that each key belongs to, whether it is stored or not."""
    with Client(port) as client:
        return {key: reply.node for key, reply in
                zip(keys, client.pipeline([request_bytes("GET", kv(key)) for key in keys]), strict=True)}


class Load:
    """Clients that write and read versions of their own keys, and check every response.

    Each key belongs to one client, so the value that a read may return is known: the last version that was stored, or one
    whose PUT failed after that (its outcome is unknown), or none (404): it is a cache.
    """

    PAUSE_S = 0.004  # between two requests of a client: a rate, no synchronisation

    def __init__(self, port, keys, clients=4):
        self.port = port
        self.done = threading.Event()
        self.wrong, self.failed, self.missed = [], [], []
        self.served = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=(keys[number::clients],)) for number in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()

    def work(self, keys):
        versions = dict.fromkeys(keys, 0)
        possible = {key: set() for key in keys}
        with Client(self.port) as client:
            turn = 0
            while not self.done.wait(self.PAUSE_S):
                key = keys[turn % len(keys)]
                writes = turn // len(keys) % 2 == 0
                turn += 1
                try:
                    if writes:
                        self.write(client, key, versions, possible)
                    else:
                        self.read(client, key, possible[key])
                    with self.lock:
                        self.served += 1
                except OSError as failure:
                    with self.lock:
                        self.failed.append((key, str(failure)))

    def write(self, client, key, versions, possible):
        versions[key] += 1
        value = str(versions[key])
        possible[key].add(value)
        if versions[key] % 2:
            reply = client.request("PUT", kv(key), value.encode())
        else:
            reply = client.request("POST", "/put", b'{"key":"%s","value":"%s"}' % (key, value.encode()))
        if reply.status in (200, 201, 204):
            possible[key] = {value}
        else:
            raise ConnectionError(f"{reply.status} {reply.body!r}")

    def read(self, client, key, possible):
        reply = client.request("GET", kv(key))
        if reply.status == 404:
            with self.lock:
                self.missed.append(key)
        elif reply.status != 200:
            raise ConnectionError(f"{reply.status} {reply.body!r}")
        elif reply.body.decode() not in possible:
            with self.lock:
                self.wrong.append((key, reply.body, sorted(possible)))

    def serves_more(self, count=200):
        """Waits until that many further requests were served."""
        goal = self.served + count
        until(f"{count} further requests are served", lambda: self.served >= goal)
