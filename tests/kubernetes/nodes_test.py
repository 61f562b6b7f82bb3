#!/usr/bin/env python3
"""The containers of the nodes, run by the real program: arguments, probes, and the way they stop.

    nodes_test.py KEYVALUE_CACHE

The program gets exactly the arguments of its container. Two things differ: it listens on a free port of 127.0.0.1 instead
of the image's, and a volume is mounted in a temporary folder.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from manifests import FOLDERS, assemble, of_kind, pod_of, probes_of, the_container  # noqa: E402
from running import ask, free_port, process, until  # noqa: E402

MARGIN_S = 10  # for what follows the timeouts: the rest of the log, and the container runtime


def responds(port, path):
    """The status; None if the connection is refused."""
    try:
        return ask(port, "GET", path)[0]
    except OSError:
        return None


class Node(unittest.TestCase):
    program = ""  # set by main

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.sets = {name: of_kind(assemble(FOLDERS[name]), "StatefulSet")[0] for name in ("cluster", "snapshot")}
        self.port = free_port()

    def arguments(self, container):
        """Those of the container, with each volume at a temporary folder."""
        arguments = container["args"]
        for mount in container.get("volumeMounts", []):
            self.assertTrue(any(f"={mount['mountPath']}/" in argument for argument in arguments), mount)
            volume = self.folder / mount["name"]
            volume.mkdir(exist_ok=True)
            arguments = [argument.replace(f"={mount['mountPath']}/", f"={volume}/") for argument in arguments]
        self.assertFalse([argument for argument in arguments if "=/" in argument and str(self.folder) not in argument],
                         "a path that is not in a volume cannot be written to")
        return arguments

    def options(self, container):
        """What --print-config reports for these arguments: the values, and the sources."""
        done = subprocess.run([self.program, *self.arguments(container), "--print-config"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return {name: (value, source) for name, value, source in
                re.findall(r"^([a-z0-9-]+)=(.*?) # (.*)$", done.stdout, re.MULTILINE)}

    @contextlib.contextmanager
    def node(self, container):
        environment = {**os.environ, "KVCACHE_BIND": "127.0.0.1", "KVCACHE_PORT": str(self.port)}
        with process([self.program, *self.arguments(container)], self.folder / "log", env=environment) as running:
            def lives():
                self.assertIsNone(running.poll(), "the program ended")
                return responds(self.port, "/healthz") == 200
            until("the node responds", lives)
            yield running

    def test_every_argument_is_an_option_and_in_force(self):
        help_text = subprocess.run([self.program, "--help"], capture_output=True, text=True, check=True).stdout
        listed = set(re.findall(r"^ +(?:-\w,)?(--[a-z0-9-]+)", help_text, re.MULTILINE))
        for name, one in self.sets.items():
            container = the_container(one)
            options = self.options(container)
            for argument in self.arguments(container):
                with self.subTest(name, argument=argument):
                    option, _, value = argument.partition("=")
                    self.assertIn(option, listed)
                    in_force, source = options[option.removeprefix("--")]
                    self.assertTrue(source.startswith("flag"), source)
                    self.assertEqual(in_force, value or "true")

    def test_the_grace_period_exceeds_all_timeouts(self):
        for name, one in self.sets.items():
            with self.subTest(name):
                options = self.options(the_container(one))
                stop_ms = int(options["drain-timeout-ms"][0])
                self.assertGreater(stop_ms, int(options["drain-delay-ms"][0]))
                if options["snapshot-file"][0]:
                    stop_ms += int(options["snapshot-timeout-ms"][0])
                self.assertNotIn("lifecycle", the_container(one))
                self.assertGreaterEqual(pod_of(one)["terminationGracePeriodSeconds"], stop_ms / 1000 + MARGIN_S)

    def test_only_the_single_node_has_a_snapshot(self):
        files = {name: self.options(the_container(one))["snapshot-file"][0] for name, one in self.sets.items()}
        self.assertEqual((files["cluster"], bool(files["snapshot"])), ("", True))

    def test_probes_succeed_and_the_drain_is_announced_before_connections_are_refused(self):
        for name, one in self.sets.items():
            container = the_container(one)
            probes = {probe: settings["httpGet"]["path"] for probe, settings in probes_of(container).items()}
            with self.subTest(name), self.node(container) as running:
                for probe, path in probes.items():
                    until(f"{probe} succeeds", lambda path=path: responds(self.port, path) == 200)
                self.assertEqual(ask(self.port, "PUT", "/kv/a", b"value")[0], 201)
                running.terminate()
                until("the readiness probe fails", lambda: responds(self.port, probes["readinessProbe"]) == 503)
                self.assertEqual(responds(self.port, probes["livenessProbe"]), 200)
                self.assertEqual(ask(self.port, "GET", "/kv/a"), (200, b"value"))
                self.assertEqual(running.wait(timeout=60), 0)
                self.assertIsNone(responds(self.port, "/healthz"))

    def test_the_single_node_keeps_its_entries(self):
        container = the_container(self.sets["snapshot"])
        with self.node(container) as running:
            self.assertEqual(ask(self.port, "PUT", "/kv/a", b"value")[0], 201)
            running.terminate()
            self.assertEqual(running.wait(timeout=60), 0)
        with self.node(container) as running:
            until("the node is ready", lambda: responds(self.port, "/readyz") == 200)
            self.assertEqual(ask(self.port, "GET", "/kv/a"), (200, b"value"))
            running.kill()

    def test_nodes_of_the_cluster_can_be_flushed(self):
        with self.node(the_container(self.sets["cluster"])) as running:
            self.assertEqual(ask(self.port, "POST", "/flush")[0], 200)
            running.kill()


if __name__ == "__main__":
    Node.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
