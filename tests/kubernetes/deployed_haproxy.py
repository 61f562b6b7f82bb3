"""The HAProxy of the Deployment, run from its ConfigMaps by its command and with its environment."""

import contextlib
import os
import pathlib
import re
import socket

from manifests import FOLDERS, assemble, of_kind, pod_of, the_container

from running import free_port, process, until


class Deployment:
    """What the Deployment of HAProxy starts, read from the manifests."""

    def __init__(self):
        objects = assemble(FOLDERS["cluster"])
        [self.workload] = of_kind(objects, "Deployment")
        self.pod = pod_of(self.workload)
        self.container = the_container(self.workload)
        self.maps = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}

    def environment(self):
        """The variables of the container, resolved as kubelet does."""
        variables = {}
        for variable in self.container["env"]:
            source = variable.get("valueFrom", {})
            if "fieldRef" in source:
                value = {"metadata.namespace": self.workload["metadata"]["namespace"]}[source["fieldRef"]["fieldPath"]]
            elif "resourceFieldRef" in source:
                kind, _, name = source["resourceFieldRef"]["resource"].partition(".")
                value = self.container["resources"][kind][name]
            else:
                value = re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], variable["value"])
            variables[variable["name"]] = value
        return variables

    def start_in(self, folder):
        """Writes the files of the volume there. Returns the command and the environment, with the volume at this folder."""
        [mount] = [one for one in self.container["volumeMounts"] if one.get("readOnly")]
        [volume] = [one for one in self.pod["volumes"] if one["name"] == mount["name"]]
        folder.mkdir()
        for source in volume["projected"]["sources"]:
            for name, text in self.maps[source["configMap"]["name"]].items():
                (folder / name).write_text(text)

        def moved(text):
            return text.replace(mount["mountPath"], str(folder))

        return ([moved(part) for part in self.container["command"]],
                {name: moved(value) for name, value in self.environment().items()})


def clean_environment(**variables):
    """That of the test without the program's variables, and these variables."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("KVCACHE_")}, **variables}


class Proxy:
    """A running HAProxy. Its ports are free ones of 127.0.0.1; everything else is that of the Deployment."""

    def __init__(self, folder, nameserver, node_port):
        deployment = Deployment()
        folder = pathlib.Path(folder)
        folder.mkdir()
        self.log = folder / "log"
        self.port, self.probes, statistics = free_port(), free_port(), free_port()
        self.statistics = statistics
        self._socket = folder / "socket"
        self._command, environment = deployment.start_in(folder / "configuration")
        variables = {**environment, "KVCACHE_CLUSTER_BIND": f"127.0.0.1:{self.port}",
                     "KVCACHE_CLUSTER_STATS_BIND": f"127.0.0.1:{statistics}",
                     "KVCACHE_PROBES_BIND": f"127.0.0.1:{self.probes}", "KVCACHE_CLUSTER_SOCKET": str(self._socket),
                     "KVCACHE_NAMESERVER": nameserver, "KVCACHE_NODE_PORT": str(node_port)}
        self._environment = clean_environment(**variables)
        self.domain = variables["KVCACHE_NODES_DOMAIN"]
        self.process = None

    @contextlib.contextmanager
    def running(self):
        with process(self._command, self.log, env=self._environment) as self.process:

            def serves():
                assert self.process.poll() is None, "HAProxy ended at once"
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.probes)):
                    return True

            until("HAProxy accepts connections", serves)
            yield self

    def runtime(self, command):
        """The response to a command of the runtime API."""
        with socket.socket(socket.AF_UNIX) as api:
            api.connect(str(self._socket))
            api.sendall(f"{command}\n".encode())
            parts = []
            while part := api.recv(65536):
                parts.append(part)
        return b"".join(parts).decode()

    def statistics_rows(self):
        """The rows of `show stat`, by column."""
        rows = [line.removeprefix("# ").split(",") for line in self.runtime("show stat").splitlines() if line]
        return [dict(zip(rows[0], row)) for row in rows[1:]]

    def sessions(self, frontend):
        """The number of present sessions of a frontend."""
        [row] = [row for row in self.statistics_rows() if (row["pxname"], row["svname"]) == (frontend, "FRONTEND")]
        return int(row["scur"])

    def nodes_in_use(self):
        """The addresses of the nodes that get requests, by name."""
        return {row["svname"]: row["addr"] for row in self.statistics_rows()
                if row["pxname"] == "nodes" and row["svname"] != "BACKEND" and row["status"].startswith("UP")}
