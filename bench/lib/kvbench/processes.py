"""Servers under test: started on free loopback ports, measured through /proc, always stopped by pid."""

import ctypes
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60
STOP_SECONDS = 10
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def port_answers(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stat_fields(pid):
    # The command's name may hold spaces and brackets: what counts stands behind the last one.
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2:].split()


def process_tree(pid):
    """The process and all that descend from it."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(_stat_fields(entry)[1]), []).append(int(entry))
            except (OSError, ValueError):
                continue
    tree = [pid]
    for member in tree:
        tree.extend(children.get(member, []))
    return tree


def _listening_inodes(port):
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = pathlib.Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(fields[9])
    return inodes


def _socket_inodes(pids):
    inodes = set()
    for pid in pids:
        try:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                try:
                    target = os.readlink(entry.path)
                except OSError:
                    continue
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        except OSError:
            continue
    return inodes


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Cpu:
    """User and system seconds of a set of processes."""

    def __init__(self, user=0.0, system=0.0):
        self.user, self.system = user, system

    @property
    def total(self):
        return self.user + self.system

    def __add__(self, other):
        return Cpu(self.user + other.user, self.system + other.system)

    def __sub__(self, other):
        return Cpu(self.user - other.user, self.system - other.system)


def cpu_of(pid):
    """Of the process and all that descend from it."""
    total = Cpu()
    for member in process_tree(pid):
        try:
            fields = _stat_fields(member)
        except OSError:
            continue
        total += Cpu(int(fields[11]) / TICKS, int(fields[12]) / TICKS)
    return total


class Server:
    """One running contestant. Made by Stage.start."""

    def __init__(self, name, process, port, log):
        self.name, self.process, self.port, self.log = name, process, port, log

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def log_text(self):
        return pathlib.Path(self.log).read_text(errors="replace")[-3000:]

    def cpu(self):
        return cpu_of(self.pid)

    def resident_bytes(self):
        total = 0
        for pid in process_tree(self.pid):
            try:
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1]) * 1024
            except OSError:
                continue
        return total

    def stop(self):
        if not self.alive():
            return
        tree = process_tree(self.pid)
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in tree:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()


class Stage:
    """Holds every process a command starts; leaving it (normally, by an error, by Ctrl-C) stops them."""

    def __init__(self):
        self._servers = []
        self._directory = tempfile.TemporaryDirectory(prefix="kvcache-bench-")

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda got, _: sys.exit(128 + got))
        os.chmod(self._directory.name, 0o755)  # servers that change their user read their files here
        return self

    def __exit__(self, *_):
        for server in reversed(self._servers):
            server.stop()
        self._directory.cleanup()

    def write(self, name, content):
        path = pathlib.Path(self._directory.name) / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
        return str(path)

    def start(self, name, command, port, environment=None, prepare=None):
        """Starts a server and waits until it, and nobody else, listens on the port."""
        if port_answers(port):
            sys.exit(f"{name}: somebody already listens on port {port}; its answers would be measured too")
        log = os.path.join(self._directory.name, f"{name}-{port}.log")

        def before_exec():
            _die_with_parent()
            if prepare is not None:
                prepare()

        with open(log, "wb") as out:
            process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, preexec_fn=before_exec,
                env={**os.environ, **(environment or {})})
        server = Server(name, process, port, log)
        self._servers.append(server)
        deadline = time.monotonic() + START_SECONDS
        while not port_answers(port):
            if not server.alive() or time.monotonic() > deadline:
                sys.exit(f"{name} did not start:\n{server.log_text()}")
            time.sleep(0.02)
        if not _listening_inodes(port) <= _socket_inodes(process_tree(server.pid)):
            sys.exit(f"{name}: another process shares port {port}")
        return server

    def stop(self, server):
        server.stop()
        self._servers.remove(server)


def _all_processors():
    with open("/proc/stat", encoding="ascii") as stat:
        # user nice system idle iowait irq softirq steal guest guest_nice (guests are in user)
        return [int(value) for value in stat.readline().split()[1:9]]


def machine_busy_seconds():
    """CPU seconds of the whole machine since it was started."""
    values = _all_processors()
    return (sum(values) - values[3] - values[4]) / TICKS


def machine_stolen_seconds():
    return _all_processors()[7] / TICKS


def tcp_timeouts():
    """Retransmissions by timer in this network namespace so far: each is a wait of 200 ms and twice that the next time."""
    with open("/proc/net/netstat", encoding="ascii") as netstat:
        lines = [line.split() for line in netstat if line.startswith("TcpExt:")]
    return int(dict(zip(*lines))["TCPTimeouts"])


class Others:
    """What others than this command and those it has started use of the processors, since this object was made."""

    def __init__(self, running):
        """running: process ids that are there all the time. Those that are started and awaited meanwhile count as ours as well."""
        self._running = running
        self._began, self._busy_before, self._stolen_before = time.monotonic(), machine_busy_seconds(), machine_stolen_seconds()
        self._own_before = self._own()

    def _own(self):
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in used) + sum(cpu_of(pid).total for pid in self._running)

    def percent(self):
        busy = machine_busy_seconds() - self._busy_before
        foreign = max(0.0, busy - (self._own() - self._own_before))
        return 100.0 * foreign / ((time.monotonic() - self._began) * os.cpu_count())

    def stolen_seconds(self):
        """What the host of a virtual machine gave to others though this one had work; part of percent(), too."""
        return machine_stolen_seconds() - self._stolen_before
