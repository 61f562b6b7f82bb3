#!/usr/bin/env python3
"""Behind common proxies, no response is stale, and pages of the same origin may write.

    proxies_test.py KEYVALUE_CACHE nginx|apache|varnish

Runs the real proxy, with the snippet of docker/ and with the address of the cache only.
Ends with 77 if the proxy is not installed (Debian's packages nginx-light, apache2, varnish).
"""

import http.client
import json
import pathlib
import shutil
import sys
import tempfile
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from proxies import INTERNAL, Nginx, application_requests, snippet  # noqa: E402
from running import PATIENCE_S, daemon, free_port, process, until  # noqa: E402

APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")


class Apache:
    program = "apache2"

    @staticmethod
    def command(folder, site):
        modules = "".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n"
                          for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "cache", "cache_disk"))
        (folder / "stored").mkdir()
        (folder / "stored").chmod(0o777)
        main = folder / "apache.conf"
        main.write_text(f"ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\n"
                        f"DefaultRuntimeDir {folder}\nUser nobody\nErrorLog /dev/stderr\n{modules}{site}\n")
        return ["apache2", "-D", "FOREGROUND", "-f", str(main)]

    @staticmethod
    def configured(folder, port, cache_port):
        return Apache.command(folder, snippet("apache/keyvalue-cache.conf", port, cache_port))

    @staticmethod
    def unconfigured(folder, port, cache_port):
        """With a cache of the proxy."""
        return Apache.command(folder, f"""
            Listen 127.0.0.1:{port}
            CacheRoot {folder}/stored
            CacheEnable disk /
            CacheDefaultExpire 3600
            ProxyPass / http://127.0.0.1:{cache_port}/""")


class Varnish:
    program = "varnishd"

    @staticmethod
    def command(folder, port, *rules):
        return ["varnishd", "-F", "-j", "none", "-n", str(folder / "varnish"), "-a", f"127.0.0.1:{port}",
                "-s", "malloc,16m", *rules]

    @staticmethod
    def configured(folder, port, cache_port):
        rules = folder / "keyvalue-cache.vcl"
        rules.write_text(snippet("varnish/keyvalue-cache.vcl", port, cache_port))
        return Varnish.command(folder, port, "-f", str(rules))

    @staticmethod
    def unconfigured(folder, port, cache_port):
        """Stores responses for two minutes, unless they forbid it."""
        return Varnish.command(folder, port, "-b", f"127.0.0.1:{cache_port}")


PROXIES = {"nginx": Nginx, "apache": Apache, "varnish": Varnish}


class BehindProxy:
    """Tests that hold with and without the snippet."""

    program = ""  # set by main
    proxy = None  # set by the subclass

    @classmethod
    def setUpClass(cls):
        """One proxy for all tests of a class: Varnish compiles its rules at each start."""
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # the children of Apache run as another user
        cache = cls.enterClassContext(daemon(cls.program, folder / "cache.log"))
        cls.port = free_port()
        log = folder / "proxy.log"
        running = cls.enterClassContext(process(cls.command(folder, cls.port, cache.port), log))

        def in_service():
            assert running.poll() is None, log.read_text()
            try:
                return cls.request("GET", "/get?key=none")[0] == 404
            except (OSError, http.client.HTTPException):
                return False

        until("the proxy serves the cache", in_service)

    @classmethod
    def request(cls, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", cls.port, timeout=PATIENCE_S)
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer
        finally:
            connection.close()

    def put(self, key, value, **headers):
        fields = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.request("POST", "/put", json.dumps({"key": key, "value": value}), fields)[0]

    def get(self, key):
        status, body, _ = self.request("GET", f"/get?key={key}")
        return json.loads(body)["value"] if status == 200 else status

    def own_origin(self):
        return f"http://127.0.0.1:{self.port}"

    def test_returns_the_last_value(self):
        self.assertEqual(self.put("a", "1"), 200)
        self.assertEqual(self.get("a"), "1")
        self.assertEqual(self.put("a", "2"), 200)
        self.assertEqual(self.get("a"), "2")
        self.assertEqual(self.request("POST", "/delete", '{"key":"a"}')[0], 200)
        self.assertEqual(self.get("a"), 404)

    def test_returns_a_value_after_a_miss(self):
        self.assertEqual(self.get("new"), 404)
        self.assertEqual(self.put("new", "1"), 200)
        self.assertEqual(self.get("new"), "1")

    def test_sec_fetch_site_is_accepted(self):
        own = {"Origin": self.own_origin(), "Sec_Fetch_Site": "same-origin"}
        self.assertEqual(self.put("a", "1", **own), 200)
        self.assertEqual(self.put("a", "1", **{**own, "Sec_Fetch_Site": "cross-site"}), 403)

    def test_a_page_of_another_origin_may_not_write(self):
        self.assertEqual(self.put("a", "1", Origin="http://elsewhere.example"), 403)


class Configured(BehindProxy, unittest.TestCase):
    @classmethod
    def command(cls, *places):
        return cls.proxy.configured(*places)

    def test_a_page_of_the_same_origin_may_write_without_sec_fetch_site(self):
        self.assertEqual(self.put("a", "1", Origin=self.own_origin()), 200)
        self.assertEqual(self.put("a", "1", Origin="http://127.0.0.1:1"), 403)

    def test_the_document_can_be_stored_and_revalidated(self):
        status, whole, answer = self.request("GET", "/openapi.json")
        tag = answer.getheader("ETag")
        self.assertEqual((status, tag is None), (200, False))
        status, body, answer = self.request("GET", "/openapi.json", headers={"If-None-Match": tag})
        self.assertEqual((status, body, answer.getheader("ETag")), (304, b"", tag))
        status, body, _ = self.request("GET", "/openapi.json", headers={"If-None-Match": '"another"'})
        self.assertEqual((status, body), (200, whole))

    def test_exposes_the_endpoints_of_applications_only(self):
        for method, target in application_requests(json.loads(self.request("GET", "/openapi.json")[1])):
            self.assertEqual(self.request(method, target)[0], 400, target)
        for target in INTERNAL:
            self.assertEqual(self.request("GET", target)[0], 404, target)

    def test_keys_in_paths_arrive_as_they_were_sent(self):
        paths = ["a%2Fb", "a%252Fb", "100%25", "a//b", "a+b", "a%2Bb", "a%20b", "caf%C3%A9", "a%3Fb", "a%3Bb;c", "a/b/"]
        if self.proxy is not Apache:  # which resolves them
            paths += ["../a", "a/../b", "./a", "a/%2E%2E/b", "/a"]
        for path in paths:
            with self.subTest(path):
                key = urllib.parse.unquote(path)
                self.assertEqual(self.request("PUT", f"/kv/{path}", key.encode())[0], 201)
                self.assertEqual(self.get(urllib.parse.quote_plus(key)), key)
                self.assertEqual(self.request("GET", f"/kv/{path}")[:2], (200, key.encode()))
                self.assertEqual(self.request("DELETE", f"/kv/{path}")[0], 204)
                self.assertEqual(self.request("GET", f"/kv/{path}")[0], 404)

    def test_values_are_conditional_and_never_stale(self):
        self.assertEqual(self.request("GET", "/kv/fresh")[0], 404)
        for value in (b"1", b"2", bytes(range(256)) * 400):
            self.assertIn(self.request("PUT", "/kv/fresh", value)[0], (201, 204))
            for _ in range(3):
                status, body, answer = self.request("GET", "/kv/fresh")
                self.assertEqual((status, body), (200, value))
            tag = {"If-None-Match": answer.getheader("ETag")}
            self.assertEqual(self.request("GET", "/kv/fresh", headers=tag)[0], 304)
            self.assertEqual(self.request("PUT", "/kv/fresh", b"x", {"If-None-Match": "*"})[0], 412)
            self.assertEqual(self.request("PUT", "/kv/fresh", b"x", {"If-Match": '"x"'})[0], 412)
            self.assertEqual(self.request("GET", "/kv/fresh", headers={"If-Match": '"x"'})[0], 412)
        self.assertEqual(self.request("DELETE", "/kv/fresh")[0], 204)
        self.assertEqual(self.request("GET", "/kv/fresh")[0], 404)

    def test_values_up_to_the_limit_pass(self):
        value = bytes(1 << 20)
        self.assertEqual(self.request("PUT", "/kv/large", value)[0], 201)
        self.assertEqual(self.request("GET", "/kv/large")[:2], (200, value))
        self.assertEqual(self.request("DELETE", "/kv/large")[0], 204)


class Unconfigured(BehindProxy, unittest.TestCase):
    @classmethod
    def command(cls, *places):
        return cls.proxy.unconfigured(*places)

    def test_returns_current_statistics(self):
        def gets():
            figures = json.loads(self.request("GET", "/stats")[1])
            return figures["since_start"]["gets"]

        before = gets()
        self.get("a")
        self.assertNotEqual(gets(), before)


if __name__ == "__main__":
    BehindProxy.proxy = PROXIES[sys.argv.pop(2)]
    BehindProxy.program = sys.argv.pop(1)
    if shutil.which(BehindProxy.proxy.program) is None:
        print(f"skipped: {BehindProxy.proxy.program} is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
