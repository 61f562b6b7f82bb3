#!/usr/bin/env python3
"""The objects of each kustomization fit together, and keep the rules of docker/kubernetes.

    manifests_test.py

Each rule returns what it finds wrong. The last test breaks the manifests in one place each, which the rules must find.
"""

import copy
import re
import unittest

from manifests import FOLDERS, REPOSITORY, assemble, of_kind, pod_of, port_of, probes_of, the_container, workloads


def selects(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def labels_of(workload):
    return workload["spec"]["template"]["metadata"]["labels"]


def selected(objects, selector):
    return [one for one in workloads(objects) if selects(selector, labels_of(one))]


def selectors(objects):
    """All selectors of pods: where they are, and their labels."""
    for one in objects:
        name, spec = f"{one['kind']} {one['metadata']['name']}", one.get("spec", {})
        if one["kind"] == "Service":
            yield name, spec["selector"]
        if one["kind"] in ("StatefulSet", "Deployment", "PodDisruptionBudget"):
            yield name, spec["selector"]["matchLabels"]
        for constraint in pod_of(one).get("topologySpreadConstraints", []):
            yield f"{name}, topologySpreadConstraints", constraint["labelSelector"]["matchLabels"]
        if one["kind"] == "NetworkPolicy":
            yield name, spec["podSelector"]["matchLabels"]
            for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
                for peer in [*rule.get("from", []), *rule.get("to", [])]:
                    if "podSelector" in peer:
                        yield f"{name}, peer", peer["podSelector"]["matchLabels"]


def each_selector_selects_one_workload(objects):
    return [f"{name} selects {len(found)} workloads"
            for name, selector in selectors(objects) if len(found := selected(objects, selector)) != 1]


def port_names(workload):
    return {port["name"] for port in the_container(workload)["ports"]}


def each_named_port_exists(objects):
    for service in of_kind(objects, "Service"):
        for workload in selected(objects, service["spec"]["selector"]):
            for port in service["spec"]["ports"]:
                if port["targetPort"] not in port_names(workload):
                    yield f"Service {service['metadata']['name']}: no port {port['targetPort']}"
    for workload in workloads(objects):
        for name, probe in probes_of(the_container(workload)).items():
            if probe["httpGet"]["port"] not in port_names(workload):
                yield f"{workload['metadata']['name']}, {name}: no port {probe['httpGet']['port']}"
    for policy in of_kind(objects, "NetworkPolicy"):
        spec = policy["spec"]
        subject = selected(objects, spec["podSelector"]["matchLabels"])
        rules = [(rule, subject) for rule in spec.get("ingress", [])]
        for rule in spec.get("egress", []):
            rules.append((rule, [pod for peer in rule.get("to", [])
                                 for pod in selected(objects, peer["podSelector"]["matchLabels"])]))
        for rule, receivers in rules:
            for port in rule["ports"]:
                if isinstance(port["port"], str) and not all(port["port"] in port_names(one) for one in receivers):
                    yield f"NetworkPolicy {policy['metadata']['name']}: no port {port['port']}"


def each_volume_exists(objects):
    maps = {one["metadata"]["name"] for one in of_kind(objects, "ConfigMap")}
    for workload in workloads(objects):
        pod, name = pod_of(workload), workload["metadata"]["name"]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        mounted = {mount["name"] for mount in the_container(workload).get("volumeMounts", [])}
        if mounted != volumes.keys() | claims:
            yield f"{name}: mounts {sorted(mounted)} of {sorted(volumes.keys() | claims)}"
        for volume in volumes.values():
            for source in volume.get("projected", {}).get("sources", []):
                if source["configMap"]["name"] not in maps:
                    yield f"{name}: no ConfigMap {source['configMap']['name']}"
    used = [source["configMap"]["name"] for workload in workloads(objects) for volume in pod_of(workload).get("volumes", [])
            for source in volume.get("projected", {}).get("sources", [])]
    for unused in maps - set(used):
        yield f"ConfigMap {unused} is not mounted"


def each_workload_is_complete(objects):
    """A Service, a NetworkPolicy for both directions, and for several pods a PodDisruptionBudget."""
    for workload in workloads(objects):
        name, labels = workload["metadata"]["name"], labels_of(workload)
        if not any(selects(one["spec"]["selector"], labels) for one in of_kind(objects, "Service")):
            yield f"{name}: no Service"
        policies = [one for one in of_kind(objects, "NetworkPolicy")
                    if selects(one["spec"]["podSelector"]["matchLabels"], labels)]
        if [sorted(one["spec"]["policyTypes"]) for one in policies] != [["Egress", "Ingress"]]:
            yield f"{name}: no NetworkPolicy for both directions"
        for policy in policies:
            if not all(rule.get("from") and rule.get("ports") for rule in policy["spec"]["ingress"]):
                yield f"{name}: open to all"
        budgets = [one["spec"].get("maxUnavailable") for one in of_kind(objects, "PodDisruptionBudget")
                   if selects(one["spec"]["selector"]["matchLabels"], labels)]
        if workload["spec"]["replicas"] > 1 and budgets != [1]:
            yield f"{name}: no PodDisruptionBudget of one pod"


def stateful_sets_have_their_service(objects):
    for workload in of_kind(objects, "StatefulSet"):
        services = [one for one in of_kind(objects, "Service") if one["metadata"]["name"] == workload["spec"]["serviceName"]]
        if len(services) != 1 or not selects(services[0]["spec"]["selector"], labels_of(workload)):
            yield f"{workload['metadata']['name']}: no Service {workload['spec']['serviceName']}"
        elif workload["spec"]["replicas"] > 1 and services[0]["spec"].get("clusterIP") != "None":
            yield f"{workload['metadata']['name']}: pods get no names, as its Service is not headless"


def pods_are_restricted(objects):
    """The Pod Security Standard `restricted`, a read-only root file system and no token of the API."""
    namespaces = of_kind(objects, "Namespace")
    for namespace in namespaces:
        for mode in ("enforce", "warn", "audit"):
            if namespace["metadata"]["labels"].get(f"pod-security.kubernetes.io/{mode}") != "restricted":
                yield f"Namespace {namespace['metadata']['name']}: {mode} is not restricted"
    for workload in workloads(objects):
        pod, name, context = pod_of(workload), workload["metadata"]["name"], pod_of(workload)["securityContext"]
        inside = the_container(workload)["securityContext"]
        expected = {
            "runAsNonRoot": context.get("runAsNonRoot") is True,
            "runAsUser": context.get("runAsUser", 0) > 0,
            "runAsGroup": context.get("runAsGroup", 0) > 0,
            "seccompProfile": context.get("seccompProfile") == {"type": "RuntimeDefault"},
            "allowPrivilegeEscalation": inside.get("allowPrivilegeEscalation") is False,
            "readOnlyRootFilesystem": inside.get("readOnlyRootFilesystem") is True,
            "capabilities": inside.get("capabilities") == {"drop": ["ALL"]},
            "automountServiceAccountToken": pod.get("automountServiceAccountToken") is False,
            "enableServiceLinks": pod.get("enableServiceLinks") is False,
            "host access": not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod),
            "privileged": not {"privileged", "procMount"} & set(inside),
            "volumes": all({"projected", "emptyDir"} & set(volume) for volume in pod.get("volumes", [])),
            "ports": all(port["containerPort"] > 1024 and "hostPort" not in port for port in the_container(workload)["ports"]),
        }
        for rule, kept in expected.items():
            if not kept:
                yield f"{name}: {rule}"


def requests_equal_limits(objects):
    for workload in workloads(objects):
        resources = the_container(workload)["resources"]
        if resources.get("requests") != resources.get("limits") or set(resources["limits"]) != {"cpu", "memory"}:
            yield f"{workload['metadata']['name']}: resources"


def pods_prefer_machines_of_their_own(objects):
    for workload in workloads(objects):
        constraints = pod_of(workload).get("topologySpreadConstraints", [])
        if workload["spec"]["replicas"] > 1 and "kubernetes.io/hostname" not in [one["topologyKey"] for one in constraints]:
            yield f"{workload['metadata']['name']}: not spread"


def objects_share_the_namespace(objects):
    [namespace] = of_kind(objects, "Namespace")
    for one in objects:
        if one is not namespace and one["metadata"].get("namespace") != namespace["metadata"]["name"]:
            yield f"{one['kind']} {one['metadata']['name']}: in another namespace"


RULES = (each_selector_selects_one_workload, each_named_port_exists, each_volume_exists, each_workload_is_complete,
         stateful_sets_have_their_service, pods_are_restricted, requests_equal_limits, pods_prefer_machines_of_their_own,
         objects_share_the_namespace)


def faults(objects):
    return [fault for rule in RULES for fault in rule(objects)]


def the(objects, kind, name):
    return next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))


class Manifests(unittest.TestCase):
    def setUp(self):
        self.objects = {name: assemble(folder) for name, folder in FOLDERS.items()}

    def test_objects_fit_together(self):
        for name in ("cluster", "snapshot"):
            with self.subTest(name):
                self.assertEqual(faults(self.objects[name]), [])

    def test_monitors_select_services_with_their_ports(self):
        services = of_kind(self.objects["cluster"], "Service")
        for monitor in self.objects["monitoring"]:
            with self.subTest(monitor["metadata"]["name"]):
                self.assertEqual(monitor["kind"], "ServiceMonitor")
                self.assertEqual(monitor["metadata"]["namespace"], services[0]["metadata"]["namespace"])
                [service] = [one for one in services
                             if selects(monitor["spec"]["selector"]["matchLabels"], one["metadata"]["labels"])]
                names = {port["name"] for port in service["spec"]["ports"]}
                self.assertLessEqual({endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}, names)

    def test_nodes_and_proxies_have_the_jobs_of_the_alerts(self):
        node, proxy = (the(self.objects["monitoring"], "ServiceMonitor", name)["spec"] for name in ("cache", "haproxy"))
        service = the(self.objects["cluster"], "Service", "cache")["metadata"]
        jobs = {"prometheus": service["labels"][node["jobLabel"]],
                "cluster": next(one["replacement"] for one in proxy["endpoints"][0]["relabelings"]
                                if one["targetLabel"] == "job")}
        for folder, job in jobs.items():
            with self.subTest(folder):
                self.assertIn(f'up{{job="{job}"}}', (REPOSITORY / "docker" / folder / "alerts.yml").read_text())

    def test_nodes_run_as_the_image_does(self):
        image = (REPOSITORY / "Dockerfile").read_text()
        for name, workload in (("cluster", "cache"), ("snapshot", "single")):
            with self.subTest(name):
                one = the(self.objects[name], "StatefulSet", workload)
                context = pod_of(one)["securityContext"]
                self.assertIn(f"\nUSER {context['runAsUser']}:{context['runAsGroup']}\n", image)
                self.assertIn(f"KVCACHE_PORT={port_of(the_container(one), 'http')} ", image)
                self.assertIn("KVCACHE_BIND=0.0.0.0 ", image)
                self.assertIn(f"ARG VERSION={the_container(one)['image'].partition(':')[2]}\n", image)

    def test_the_nodes_of_haproxy_are_the_first_pods(self):
        node = the(self.objects["cluster"], "StatefulSet", "cache")
        names = the(self.objects["cluster"], "ConfigMap", "nodes")["data"]["nodes.cfg"]
        servers = re.findall(r'^ +server (\S+) "(\S+)\.\$\{KVCACHE_NODES_DOMAIN}:\$\{KVCACHE_NODE_PORT-(\d+)}" id (\d+)$',
                             names, re.MULTILINE)
        self.assertEqual(len(servers), len(re.findall(r"^ +server ", names, re.MULTILINE)))
        self.assertGreaterEqual(len(servers), node["spec"]["replicas"])
        port = str(port_of(the_container(node), "http"))
        for number, server in enumerate(servers):
            pod = f"{node['metadata']['name']}-{number}"
            self.assertEqual(server, (pod, pod, port, str(number + 1)))

    def test_each_broken_rule_is_found(self):
        def container(objects, name="cache"):
            return the_container(the(objects, "StatefulSet", name))

        def pod(objects, name="haproxy"):
            return pod_of(the(objects, "Deployment", name))

        def spec(objects, kind, name):
            return the(objects, kind, name)["spec"]

        breaks = {
            "a selector": lambda o: spec(o, "Service", "cache")["selector"].update(x="y"),
            "a budget's selector": lambda o: spec(o, "PodDisruptionBudget", "cache")["selector"]["matchLabels"].update(x="y"),
            "a policy's selector": lambda o: spec(o, "NetworkPolicy", "cache")["podSelector"]["matchLabels"].update(x="y"),
            "a policy's peer":
                lambda o: spec(o, "NetworkPolicy", "cache")["ingress"][0]["from"][0]["podSelector"]["matchLabels"].update(x="y"),
            "a selector without labels": lambda o: spec(o, "NetworkPolicy", "cache")["podSelector"].update(matchLabels={}),
            "a spread's selector":
                lambda o: pod(o)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].update(x="y"),
            "a Service's port": lambda o: spec(o, "Service", "keyvalue-cache")["ports"][0].update(targetPort="https"),
            "a probe's port": lambda o: container(o)["livenessProbe"]["httpGet"].update(port="https"),
            "a policy's port": lambda o: spec(o, "NetworkPolicy", "haproxy")["ingress"][0]["ports"][0].update(port="https"),
            "a policy's port of a peer":
                lambda o: spec(o, "NetworkPolicy", "haproxy")["egress"][0]["ports"][0].update(port="statistics"),
            "a policy open to all": lambda o: spec(o, "NetworkPolicy", "cache")["ingress"][0].pop("from"),
            "a policy of one direction": lambda o: spec(o, "NetworkPolicy", "cache")["policyTypes"].remove("Egress"),
            "a ConfigMap's name": lambda o: pod(o)["volumes"][0]["projected"]["sources"][0]["configMap"].update(name="x"),
            "an unused ConfigMap": lambda o: pod(o)["volumes"][0]["projected"]["sources"].pop(),
            "a mount": lambda o: the_container(the(o, "Deployment", "haproxy"))["volumeMounts"].pop(),
            "a missing Service": lambda o: o.remove(the(o, "Service", "keyvalue-cache")),
            "a missing policy": lambda o: o.remove(the(o, "NetworkPolicy", "haproxy")),
            "a missing budget": lambda o: o.remove(the(o, "PodDisruptionBudget", "haproxy")),
            "a budget of more": lambda o: spec(o, "PodDisruptionBudget", "cache").update(maxUnavailable=2),
            "the Service of a StatefulSet": lambda o: spec(o, "StatefulSet", "cache").update(serviceName="keyvalue-cache"),
            "a Service with an address": lambda o: spec(o, "Service", "cache").pop("clusterIP"),
            "a namespace": lambda o: the(o, "Service", "cache")["metadata"].pop("namespace"),
            "a namespace's label":
                lambda o: of_kind(o, "Namespace")[0]["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce"),
            "root": lambda o: pod(o)["securityContext"].pop("runAsNonRoot"),
            "the user": lambda o: pod(o)["securityContext"].update(runAsUser=0),
            "seccomp": lambda o: pod(o)["securityContext"].pop("seccompProfile"),
            "escalation": lambda o: container(o)["securityContext"].pop("allowPrivilegeEscalation"),
            "a writable file system": lambda o: container(o)["securityContext"].update(readOnlyRootFilesystem=False),
            "a capability": lambda o: container(o)["securityContext"]["capabilities"].update(add=["NET_BIND_SERVICE"]),
            "the API's token": lambda o: pod(o).pop("automountServiceAccountToken"),
            "service links": lambda o: pod(o).pop("enableServiceLinks"),
            "the host's network": lambda o: pod(o).update(hostNetwork=True),
            "a path of the host": lambda o: pod(o)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
            "a privileged port": lambda o: container(o)["ports"][0].update(containerPort=80),
            "a limit": lambda o: container(o)["resources"].update(requests={"cpu": "1", "memory": "512Mi"}),
            "no limit": lambda o: container(o)["resources"].update(requests={"cpu": "1"}, limits={"cpu": "1"}),
            "no spread": lambda o: pod(o).pop("topologySpreadConstraints"),
        }
        for name, breaks_it in breaks.items():
            with self.subTest(name):
                objects = copy.deepcopy(self.objects["cluster"])
                breaks_it(objects)
                self.assertNotEqual(faults(objects), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
