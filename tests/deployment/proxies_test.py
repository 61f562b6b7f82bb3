#!/usr/bin/env python3
"""Behind common proxies, the cache serves nothing stale and lets a browser's own page write.

    proxies_test.py KEYVALUE_CACHE nginx|apache|varnish

Runs the real proxy, with the snippet of docker/ and without any configuration but the cache's address.
Ends with 77 where the proxy is not installed (Debian's packages nginx-light, apache2, varnish).
"""

import http.client
import json
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running import PATIENCE_S, daemon, free_port, process, until  # noqa: E402

DOCKER = pathlib.Path(__file__).resolve().parents[2] / "docker"
APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")


def snippet(path, port, cache_port):
    """The shipped file, with this test's ports in the place of 8080 and 7171."""
    text = (DOCKER / path).read_text()
    assert "7171" in text, path
    return text.replace("8080", f"127.0.0.1:{port}" if "nginx" in path else str(port)).replace("7171", str(cache_port))


class Nginx:
    program = "nginx"

    @staticmethod
    def command(folder, site):
        places = "".join(f"    {kind}_temp_path {folder}/{kind};\n"
                         for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = folder / "nginx.conf"
        main.write_text(f"daemon off;\nuser root;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
                        f"http {{\n    access_log off;\n{places}{site}\n}}\n")
        return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(main)]

    @staticmethod
    def configured(folder, port, cache_port):
        return Nginx.command(folder, snippet("nginx/keyvalue-cache.conf", port, cache_port))

    @staticmethod
    def unconfigured(folder, port, cache_port):
        """It even stores what it may."""
        return Nginx.command(folder, f"""
            proxy_cache_path {folder}/stored keys_zone=stored:1m;
            server {{
                listen 127.0.0.1:{port};
                location / {{
                    proxy_pass http://127.0.0.1:{cache_port};
                    proxy_cache stored;
                    proxy_cache_valid any 1h;
                }}
            }}""")


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
        """It even stores what it may."""
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
        """It stores what it may: for two minutes, where an answer does not forbid it."""
        return Varnish.command(folder, port, "-b", f"127.0.0.1:{cache_port}")


PROXIES = {"nginx": Nginx, "apache": Apache, "varnish": Varnish}


class BehindProxy:
    """What holds with the snippet and without."""

    program = ""  # set by main
    proxy = None  # likewise

    @classmethod
    def setUpClass(cls):
        """One proxy for all tests of a class: Varnish compiles its rules at each start."""
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # Apache's children are another user's
        cache = cls.enterClassContext(daemon(cls.program, folder / "cache.log"))
        cls.port = free_port()
        log = folder / "proxy.log"
        running = cls.enterClassContext(process(cls.command(folder, cls.port, cache.port), log))

        def in_service():
            assert running.poll() is None, log.read_text()
            try:
                return cls.ask("GET", "/get?key=none")[0] == 404
            except (OSError, http.client.HTTPException):
                return False

        until("the proxy serves the cache", in_service)

    @classmethod
    def ask(cls, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", cls.port, timeout=PATIENCE_S)
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer
        finally:
            connection.close()

    def put(self, key, value, **headers):
        fields = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.ask("POST", "/put", json.dumps({"key": key, "value": value}), fields)[0]

    def get(self, key):
        status, body, _ = self.ask("GET", f"/get?key={key}")
        return json.loads(body)["value"] if status == 200 else status

    def own_origin(self):
        return f"http://127.0.0.1:{self.port}"

    def test_gets_what_was_put_last(self):
        self.assertEqual(self.put("a", "1"), 200)
        self.assertEqual(self.get("a"), "1")
        self.assertEqual(self.put("a", "2"), 200)
        self.assertEqual(self.get("a"), "2")
        self.assertEqual(self.ask("POST", "/delete", '{"key":"a"}')[0], 200)
        self.assertEqual(self.get("a"), 404)

    def test_gets_what_was_not_there_before(self):
        self.assertEqual(self.get("new"), 404)
        self.assertEqual(self.put("new", "1"), 200)
        self.assertEqual(self.get("new"), "1")

    def test_a_browser_that_names_the_site_is_believed(self):
        own = {"Origin": self.own_origin(), "Sec_Fetch_Site": "same-origin"}
        self.assertEqual(self.put("a", "1", **own), 200)
        self.assertEqual(self.put("a", "1", **{**own, "Sec_Fetch_Site": "cross-site"}), 403)

    def test_a_page_of_another_origin_may_not_write(self):
        self.assertEqual(self.put("a", "1", Origin="http://elsewhere.example"), 403)


class Configured(BehindProxy, unittest.TestCase):
    @classmethod
    def command(cls, *places):
        return cls.proxy.configured(*places)

    def test_a_page_of_the_same_origin_may_write_where_the_browser_does_not_name_the_site(self):
        self.assertEqual(self.put("a", "1", Origin=self.own_origin()), 200)
        self.assertEqual(self.put("a", "1", Origin="http://127.0.0.1:1"), 403)

    def test_may_keep_the_document_and_ask_whether_it_is_the_same(self):
        status, whole, answer = self.ask("GET", "/openapi.json")
        tag = answer.getheader("ETag")
        self.assertEqual((status, tag is None), (200, False))
        status, body, answer = self.ask("GET", "/openapi.json", headers={"If-None-Match": tag})
        self.assertEqual((status, body, answer.getheader("ETag")), (304, b"", tag))
        status, body, _ = self.ask("GET", "/openapi.json", headers={"If-None-Match": '"another"'})
        self.assertEqual((status, body), (200, whole))

    def test_keeps_the_inside_in(self):
        for target in ("/metrics", "/stats", "/healthz", "/readyz", "/flush", "/getx", "/x/get"):
            self.assertEqual(self.ask("GET", target)[0], 404, target)


class Unconfigured(BehindProxy, unittest.TestCase):
    @classmethod
    def command(cls, *places):
        return cls.proxy.unconfigured(*places)

    def test_shows_statistics_as_they_are(self):
        def gets():
            figures = json.loads(self.ask("GET", "/stats")[1])
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
