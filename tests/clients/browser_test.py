#!/usr/bin/env python3
"""Pages in a real browser use /kv/ by fetch(), behind nginx on the same origin.

    browser_test.py KEYVALUE_CACHE SOURCE_DIRECTORY

nginx runs with the configuration of docker/ and serves the pages of this test beside the cache. Each page writes what
its script has seen into the document. Needs Debian's packages nginx-light and chromium; ends with 77 where one is
missing.
"""

import html
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from proxies import Nginx  # noqa: E402
from running import PATIENCE_S, daemon, free_port, process, until  # noqa: E402

BROWSER = "chromium"
# The time of the page, not of the machine: it passes only while no request is under way.
PAGE_TIME_MS = 60_000

# `script` is the body of an asynchronous function; what it returns is written as JSON.
PAGE = """<!DOCTYPE html><title>test</title><pre id="seen">nothing</pre><script>
const bytes = Uint8Array.from({{length: 1000}}, (_, i) => i % 256);
const equal = async (answer, expected) => {{
  const got = new Uint8Array(await answer.arrayBuffer());
  return got.length === expected.length && got.every((byte, i) => byte === expected[i]);
}};
const call = (method, path, headers = {{}}, body = undefined) => fetch(path, {{method, headers, body}});
(async () => {{ {script} }})()
  .catch(fault => "failed: " + fault)
  .then(seen => {{ document.getElementById("seen").textContent = JSON.stringify(seen); }});
</script>"""

# Each would replace the text of the paragraph if scripts ran.
STORED_PAGES = {
    "a script": """<p id="seen">untouched</p>
        <script>document.getElementById("seen").textContent = "a script ran"</script>""",
    "a handler": """<p id="seen">untouched</p>
        <img src="data:," onerror='document.getElementById("seen").textContent = "a handler ran"'>""",
    "a frame": """<p id="seen">untouched</p>
        <iframe srcdoc='<script>parent.document.getElementById("seen").textContent = "a frame ran"</script>'></iframe>""",
}


def browser():
    """The program, if it is one: Ubuntu's package installs a stub that needs snap."""
    path = shutil.which(BROWSER)
    works = path and subprocess.run([path, "--version"], capture_output=True).returncode == 0
    return path if works else None


class Browser(unittest.TestCase):
    program = ""  # both are set by main
    chromium = ""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.cache = cls.enterClassContext(daemon(cls.program, cls.folder / "cache.log"))
        cls.pages = cls.folder / "pages"
        cls.pages.mkdir()
        cls.port = free_port()
        log = cls.folder / "nginx.log"
        nginx = cls.enterClassContext(
            process(Nginx.with_pages(cls.folder, cls.port, cls.cache.port, cls.pages), log))

        def in_service():
            assert nginx.poll() is None, log.read_text()
            try:
                return cls.request("GET", "/kv/none")[0] == 404
            except (OSError, http.client.HTTPException):
                return False

        until("nginx serves the cache", in_service)

    @classmethod
    def request(cls, method, target, body=None, headers=None, port=None):
        """Without the browser."""
        connection = http.client.HTTPConnection("127.0.0.1", port or cls.port, timeout=PATIENCE_S)
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def document(self, url):
        """The document once its scripts are done."""
        profile = self.enterContext(tempfile.TemporaryDirectory())
        done = subprocess.run(
            [self.chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--no-proxy-server", "--disable-background-networking",
             f"--user-data-dir={profile}", f"--virtual-time-budget={PAGE_TIME_MS}", "--dump-dom", url],
            capture_output=True, text=True, timeout=2 * PATIENCE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def paragraph(self, url):
        document = self.document(url)
        found = re.search(r'<(p|pre) id="seen">(.*?)</\1>', document, re.DOTALL)
        self.assertTrue(found, document)
        return html.unescape(found[2])

    def seen_by(self, script, **texts):
        (self.pages / "page.html").write_text(PAGE.format(script=script % texts))
        text = self.paragraph(f"http://127.0.0.1:{self.port}/pages/page.html")
        try:
            return json.loads(text)
        except ValueError:
            self.fail(f"the page has seen {text!r}")

    def answers(self, operation, status):
        """How many of them the cache has counted."""
        text = self.request("GET", "/metrics", port=self.cache.port)[1].decode()
        found = re.search(rf'^keyvalue_cache_requests_total{{operation="{operation}",code="{status}"}} (\d+)$', text,
                          re.MULTILINE)
        return int(found[1]) if found else 0

    def test_a_page_writes_reads_and_deletes_under_conditions(self):
        seen = self.seen_by("""
            const key = "/kv/page/caf%%C3%%A9%%2F1", type = {"Content-Type": "application/x-test"};
            const seen = {};
            const created = await call("PUT", key, type, bytes);
            seen.created = created.status;
            const tag = created.headers.get("ETag");
            const whole = await call("GET", key);
            seen.whole = [whole.status, whole.headers.get("Content-Type"), whole.headers.get("ETag") === tag,
                          await equal(whole, bytes)];
            seen.unchanged = (await call("GET", key, {"If-None-Match": tag})).status;
            const head = await call("HEAD", key);
            seen.head = [head.status, head.headers.get("Content-Length"), (await head.text()).length];
            seen.exists = (await call("PUT", key, {...type, "If-None-Match": "*"}, "other")).status;
            seen.mismatch = (await call("PUT", key, {...type, "If-Match": '"other"'}, "other")).status;
            seen.kept = await equal(await call("GET", key), bytes);
            const swapped = await call("PUT", key + "?ttl=60", {...type, "If-Match": tag}, bytes.slice(1));
            seen.swapped = [swapped.status, swapped.headers.get("ETag") !== tag];
            const changed = await call("GET", key, {"If-None-Match": tag});
            seen.changed = [changed.status, changed.headers.get("KV-TTL"), await equal(changed, bytes.slice(1))];
            seen.not_deleted = (await call("DELETE", key, {"If-Match": tag})).status;
            seen.deleted = (await call("DELETE", key, {"If-Match": swapped.headers.get("ETag")})).status;
            const missing = await call("GET", key);
            seen.missing = [missing.status, (await missing.json()).message];
            seen.nothing_to_delete = (await call("DELETE", key)).status;
            return seen;""")
        self.assertEqual(seen, {
            "created": 201, "whole": [200, "application/x-test", True, True], "unchanged": 304,
            "head": [200, "1000", 0], "exists": 412, "mismatch": 412, "kept": True, "swapped": [204, True],
            "changed": [200, "60", True], "not_deleted": 412, "deleted": 204, "missing": [404, "Key not found."],
            "nothing_to_delete": 404})
        self.assertGreaterEqual(self.answers("kv_get", 304), 1)  # the browser's own cache revalidates, too
        self.assertEqual((self.answers("kv_put", 412), self.answers("kv_delete", 412)), (2, 1))

    def test_a_page_stores_the_largest_value_and_an_empty_one(self):
        seen = self.seen_by("""
            const large = Uint8Array.from({length: 1 << 20}, (_, i) => i * 7 + (i >> 8)), seen = [];
            for (const value of [large, new Uint8Array()]) {
              seen.push((await call("PUT", "/kv/size", {}, value)).status);
              seen.push(await equal(await call("GET", "/kv/size"), value));
            }
            seen.push((await call("PUT", "/kv/size", {}, new Uint8Array((1 << 20) + 1))).status);
            return seen;""")
        self.assertEqual(seen, [201, True, 204, True, 413])

    def test_the_cache_of_the_browser_revalidates_and_is_never_stale(self):
        before = self.answers("kv_get", 304)
        seen = self.seen_by("""
            const seen = [], get = async () => seen.push(await (await call("GET", "/kv/fresh")).text());
            await call("PUT", "/kv/fresh", {}, "first");
            await get();
            await get();
            await call("PUT", "/kv/fresh", {}, "second");
            await get();
            await call("DELETE", "/kv/fresh");
            seen.push((await call("GET", "/kv/fresh")).status);
            return seen;""")
        self.assertEqual(seen, ["first", "first", "second", 404])
        self.assertEqual(self.answers("kv_get", 304), before + 1)  # the second of them, which the page does not see

    def test_a_page_of_another_origin_neither_writes_nor_reads(self):
        other_port = free_port()
        other = self.folder / "other"
        other.mkdir()
        self.enterContext(process(Nginx.with_pages(other, other_port, self.cache.port, self.pages), other / "log"))
        self.assertIn(self.request("PUT", "/kv/kept", b"old")[0], (201, 204))
        seen = self.seen_by("""
            const of = async (what) => { try { return (await what).type; } catch (fault) { return fault.name; } };
            const kept = "http://127.0.0.1:%(other_port)s/kv/kept";
            return [await of(fetch(kept)), await of(fetch(kept, {method: "PUT", body: "new"})),
                    await of(fetch(kept, {method: "DELETE"})),
                    await of(fetch("http://127.0.0.1:%(other_port)s/put",
                                   {method: "POST", mode: "no-cors", body: '{"key":"kept","value":"new"}'}))];""",
                            other_port=other_port)
        self.assertEqual(seen, ["TypeError", "TypeError", "TypeError", "opaque"])
        self.assertEqual(self.answers("put", 403), 1)  # what browsers send without asking first
        self.assertEqual(self.request("GET", "/kv/kept"), (200, b"old"))

    def test_stored_pages_run_no_script(self):
        for name, page in STORED_PAGES.items():
            with self.subTest(name):
                (self.pages / "stored.html").write_text(page)
                served = self.paragraph(f"http://127.0.0.1:{self.port}/pages/stored.html")
                self.assertEqual(served, f"{name} ran")  # it does where nothing forbids it
                self.assertIn(self.request("PUT", "/kv/stored.html", page.encode(), {"Content-Type": "text/html"})[0],
                              (201, 204))
                self.assertEqual(self.paragraph(f"http://127.0.0.1:{self.port}/kv/stored.html"), "untouched")

    def test_text_that_looks_like_a_page_is_shown_as_text(self):
        page = b'<!DOCTYPE html><p id="seen">a page</p>'
        self.assertIn(self.request("PUT", "/kv/text", page, {"Content-Type": "text/plain"})[0], (201, 204))
        self.assertIn("&lt;p", self.document(f"http://127.0.0.1:{self.port}/kv/text"))


if __name__ == "__main__":
    del sys.argv[2]
    Browser.program = sys.argv.pop(1)
    Browser.chromium = browser()
    missing = [name for name, found in (("nginx", shutil.which("nginx")), (BROWSER, Browser.chromium)) if not found]
    if missing:
        print(f"skipped: {missing[0]} is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
