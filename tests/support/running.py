"""Shared by the end-to-end tests: processes that end with the test, and waiting."""

import contextlib
import http.client
import pathlib
import re
import signal
import socket
import subprocess
import time
import typing

PATIENCE_S = 60


class Daemon(typing.NamedTuple):
    port: int
    process: subprocess.Popen


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, method, path, body=None):
    """Status and body of the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def until(what, condition):
    """Calls condition until it returns a true value, and returns that; fails after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError(f"in {PATIENCE_S} s it did not come to this: {what}")


@contextlib.contextmanager
def process(command, log_path, **more):
    """Runs the command with its output in a log, and ends it by SIGTERM. A failure prints the log."""
    log_path = pathlib.Path(log_path)
    with log_path.open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **more)
    try:
        yield running
    except BaseException:
        print(f"--- output of {command}\n{log_path.read_text(errors='replace')}")
        raise
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(timeout=15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextlib.contextmanager
def daemon(program, log_path, *options):
    """Runs the cache on a free port of 127.0.0.1; returns port and process once the log names the port."""
    command = [program, "--bind", "127.0.0.1", "--port", "0", "--threads", "2", *options]
    with process(command, log_path) as running:

        def port_in_log():
            assert running.poll() is None, "the daemon ended at once"
            found = re.search(r"127\.0\.0\.1:(\d+)", pathlib.Path(log_path).read_text())
            return found and int(found[1])

        yield Daemon(until("the daemon logs its address", port_in_log), running)
