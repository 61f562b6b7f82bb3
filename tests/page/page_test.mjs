// The live page in a real browser, against the daemon. Run by page_test.py.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import {after, before, describe, test} from "node:test";
import {Daemon, Load, axeScript, close, launch, open, sleep, source, state, temporaryFolder, until, untilState,
  updates} from "./browsing.mjs";

const WIDTHS = [360, 1024, 1920];
const SCHEMES = ["light", "dark"];
const KiB = 1024;

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

async function withDaemon(options, use) {
  const daemon = await Daemon.start(options);
  try {
    await use(daemon);
  } finally {
    await daemon.stop();
  }
}

// The figures by another way than the page's: from /stats as it is documented.
function expectedTitles(now, earlier) {
  const {memory, eviction, configuration, last_minute: minute} = now;
  const seconds = now.uptime_s - earlier.uptime_s;
  const total = (byStatus = {}) => Object.values(byStatus).reduce((sum, each) => sum + each, 0);
  const count = (stats, ...operations) =>
    operations.reduce((sum, operation) => sum + total(stats.since_start.responses[operation]), 0);
  const everything = (stats) => count(stats, ...Object.keys(stats.since_start.responses));
  const perSecond = (of) => `${(of(now) - of(earlier)) / seconds} per second`;
  const own = ["stats", "readyz", "page"];
  const main = ["get", "kv_get", "put", "kv_put", "delete", "kv_delete", "batch"];
  const causes = ["lru", "clock", "emergency", "max_entries"];
  const bytes = (number) => `${number} bytes`;
  const latency = (of, quantile) => of.max === 0 ? "no figure yet" : `${of[quantile]} µs`;
  const evictions = Object.fromEntries(causes.flatMap((cause) => [
    [`evictions.${cause}`, perSecond((s) => s.eviction.evictions[cause])],
    [`evictions.${cause}.sum`, String(eviction.evictions[cause])]]));
  return {
    version: `${now.version}, revision ${now.revision}`,
    uptime: `${now.uptime_s} s`,
    tier: eviction.tier,
    "memory.use_percent": `${memory.use_percent} %`,
    "memory.used": bytes(memory.used_bytes),
    "memory.limit": bytes(memory.limit_bytes),
    "memory.source": memory.source,
    "memory.others": bytes(Math.max(0, memory.used_bytes - memory.held_bytes)),
    "memory.entries": bytes(memory.live_bytes),
    "memory.index": bytes(memory.index_bytes),
    "memory.reusable": bytes(memory.held_bytes - memory.live_bytes - memory.index_bytes),
    "memory.unused": bytes(memory.limit_bytes - Math.max(memory.used_bytes, memory.held_bytes)),
    "requests.total": perSecond((s) => everything(s) - count(s, ...own)),
    "requests.get": perSecond((s) => count(s, "get", "kv_get")),
    "requests.put": perSecond((s) => count(s, "put", "kv_put")),
    "requests.delete": perSecond((s) => count(s, "delete", "kv_delete")),
    "requests.batch": perSecond((s) => count(s, "batch")),
    "requests.other": perSecond((s) => everything(s) - count(s, ...own, ...main)),
    hit_ratio: String(minute.hit_ratio),
    hits: String(minute.hits),
    misses: String(minute.misses),
    "connections.now": String(now.connections.now),
    "connections.limit": String(configuration.max_connections),
    "connections.refused": String(now.connections.refused),
    ...Object.fromEntries(["get", "put"].flatMap((operation) => ["p50", "p99", "p999"].map((quantile) =>
      [`${operation}.${quantile}`, latency(minute[`${operation}_latency_us`], quantile)]))),
    ...evictions,
    "evictions.total": perSecond((s) => causes.reduce((sum, cause) => sum + s.eviction.evictions[cause], s.eviction.expired)),
    "evictions.expired": perSecond((s) => s.eviction.expired),
    "evictions.expired.sum": String(eviction.expired),
    entries: String(now.entries),
    bytes_per_entry: bytes((memory.live_bytes + memory.index_bytes) / now.entries),
    max_entries: configuration.max_entries === 0 ? "none" : String(configuration.max_entries),
    max_key_chars: String(configuration.max_key_chars),
    max_value_chars: String(configuration.max_value_chars),
    max_value_bytes: bytes(configuration.max_value_bytes),
    errors: String(total(minute.refused)),
    "snapshot.load": now.snapshot.last_load.result,
    "snapshot.save": now.snapshot.last_save.result,
  };
}

describe("the figures", () => {
  // The third response is the last that the page gets meanwhile.
  async function pageThatHasThreeResponses(daemon) {
    const context = await browser.newContext();
    await context.close();
    const page = await open(browser, "about:blank");
    const seen = [];
    await page.route("**/stats", async (route) => {
      if (seen.length === 3) return; // held back
      const response = await route.fetch();
      seen.push(await response.json());
      await route.fulfill({response});
    });
    await page.goto(daemon.url);
    await until("it has three responses", () => seen.length === 3);
    await sleep(500);
    return [page, seen];
  }

  test("are those of /stats under load", () => withDaemon(["--max-entries", "50", "--enable-flush"], async (daemon) => {
    const load = new Load(daemon);
    const [page, seen] = await pageThatHasThreeResponses(daemon);
    const shown = Object.fromEntries(await page.$$eval("[data-figure]", (all) =>
      all.map((each) => [each.dataset.figure, each.title])));
    assert.deepEqual(shown, expectedTitles(seen[2], seen[1]));
    assert.ok(Number.parseFloat(shown["requests.get"]) > 50, shown["requests.get"]);
    assert.ok(Number.parseFloat(shown["evictions.total"]) > 0);
    await load.stop();
    await close(page);
  }));

  test("are shown in human units, with lines and a bar", () => withDaemon([], async (daemon) => {
    const load = new Load(daemon, {keys: 100});
    const [page, seen] = await pageThatHasThreeResponses(daemon);
    const now = seen[2];
    const text = (figure) => page.locator(`[data-figure="${figure}"]`).first().textContent();
    assert.match(await text("memory.limit"), /^[\d,.]+ [MGT]iB$/);
    assert.match(await text("get.p99"), /^[\d.]+ (µs|ms|s)$/);
    assert.match(await text("hit_ratio"), /^(\d+\.\d|100) %$/);
    const whole = await page.locator(".track").evaluate((track) => track.clientWidth);
    await sleep(400); // the transition of the bar
    const widths = await page.$$eval(".part", (parts) => parts.map((part) => part.getBoundingClientRect().width));
    const others = now.memory.used_bytes - now.memory.held_bytes;
    const parts = [others, now.memory.live_bytes, now.memory.index_bytes,
      now.memory.held_bytes - now.memory.live_bytes - now.memory.index_bytes];
    parts.forEach((bytes, at) =>
      assert.ok(Math.abs(widths[at] - whole * bytes / now.memory.limit_bytes) < 1, `part ${at}: ${widths[at]} of ${whole}`));
    for (const [name, percent] of [["pressure", 70], ["emergency", 95]])
      assert.equal(await page.locator(`#${name}-mark`).evaluate((mark) => mark.style.left), `${percent}%`);
    for (const chart of ["memory", "requests", "hits", "connections", "get", "put"]) {
      const lines = await page.$$eval(`#chart-${chart} path`, (paths) => paths.map((path) => path.getAttribute("d")));
      assert.ok(lines.some((line) => /^M[\d.]+ [\d.-]+L/.test(line)), `${chart}: ${lines}`);
    }
    await load.stop();
    await close(page);
  }));

  test("include the configuration that differs from the default", () =>
    withDaemon(["--max-entries", "7", "--idle-timeout-ms", "61000"], async (daemon) => {
      const page = await open(browser, daemon.url);
      await untilState(page, "Healthy");
      const rows = await page.$$eval("#changes tbody tr", (all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
      assert.deepEqual(rows.find(([name]) => name === "max_entries"), ["max_entries", "7", "0"]);
      assert.deepEqual(rows.find(([name]) => name === "idle_timeout_ms"), ["idle_timeout_ms", "61000", "60000"]);
      assert.equal(rows.find(([name]) => name === "max_key_chars"), undefined);
      await close(page);
    }));

  test("leave out the page's own requests", () => withDaemon([], async (daemon) => {
    const page = await open(browser, daemon.url);
    await untilState(page, "Healthy");
    await sleep(2500);
    assert.equal(await page.locator('[data-figure="requests.total"]').textContent(), "0");
    assert.equal(await page.locator('[data-figure="errors"]').textContent(), "0");
    await close(page);
  }));

  test("explain each term in one sentence", () => withDaemon([], async (daemon) => {
    const page = await open(browser, daemon.url);
    const terms = await page.locator(".term").all();
    assert.ok(terms.length > 40);
    for (const term of terms) {
      const tip = page.locator(`#${await term.getAttribute("aria-describedby")}`);
      assert.match(await tip.textContent(), /^[^.]+(\.\d[^.]*|\.html[^.]*)*\.$/);
    }
    const tip = page.locator(`#${await terms[3].getAttribute("aria-describedby")}`);
    assert.equal(await tip.isVisible(), false);
    await terms[3].focus();
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Tab");
    assert.equal(await tip.isVisible(), true);
    await page.keyboard.press("Escape");
    assert.equal(await tip.isVisible(), false);
    await close(page);
  }));
});

describe("the form", () => {
  const texts = ["plain", "<img src=x onerror=alert(1)><script>alert(2)</script>", "emoji 👩‍👩‍👧 é 🇩🇪", `quotes ' " \` \\ $HOME %41+&`,
    "a NUL \u0000 and \u0007 and \u202e", "..", "a/b?c#d"];
  const value = async (page) => await page.locator("#answer-value").evaluate((shown) => shown.textContent);
  const status = (page, expected) => until(`the answer is ${expected}`,
    async () => (await page.locator("#answer-status").textContent()) === expected);

  test("stores, reads and deletes keys and values of any text", () => withDaemon([], async (daemon) => {
    const page = await open(browser, daemon.url);
    for (const key of texts) {
      const stored = `${key} as a value`;
      await page.getByLabel("Key", {exact: true}).fill(key);
      await page.getByLabel("Value", {exact: true}).fill(stored);
      await page.getByRole("button", {name: "Put", exact: true}).click();
      await status(page, "200 OK");
      assert.match(await page.locator("#answer-body").textContent(), /inserted\/updated/);
      const direct = await daemon.request(`get?key=${encodeURIComponent(key)}`);
      assert.equal((await direct.json()).value, stored);
      await page.getByRole("button", {name: "Look up"}).click();
      await until("the value is shown", async () => (await value(page)) === stored);
      assert.match(await page.locator("#answer-time").textContent(), /^[\d.,]+ (µs|ms|s)$/);
      await page.getByRole("button", {name: "Delete"}).click();
      await until("it is deleted", async () => /deleted/.test(await page.locator("#answer-body").textContent()));
      await page.getByRole("button", {name: "Look up"}).click();
      await status(page, "404 Not Found");
      assert.equal(await page.locator("#answer img, #answer script").count(), 0);
    }
    await close(page);
  }));

  test("applies a field by Enter, and takes a TTL", () => withDaemon([], async (daemon) => {
    const page = await open(browser, daemon.url);
    await page.getByLabel("Key", {exact: true}).fill("k");
    await page.getByLabel("Key", {exact: true}).press("Enter");
    await status(page, "404 Not Found");
    await page.getByLabel("Value", {exact: true}).fill("v");
    await page.getByLabel("TTL", {exact: true}).fill("60");
    await page.getByLabel("TTL", {exact: true}).press("Enter");
    await status(page, "200 OK");
    assert.equal((await daemon.request("kv/k")).headers.get("kv-ttl"), "60");
    await page.getByLabel("TTL", {exact: true}).fill("soon");
    await page.getByLabel("TTL", {exact: true}).press("Enter");
    await status(page, "Not sent");
    await close(page);
  }));

  test("shows the curl line that does the same", () => withDaemon([], async (daemon) => {
    const {execFileSync} = await import("node:child_process");
    const page = await open(browser, daemon.url);
    for (const key of texts) {
      await page.getByLabel("Key", {exact: true}).fill(key);
      await page.getByLabel("Value", {exact: true}).fill(`${key}!`);
      for (const button of ["Put", "Look up"]) {
        await page.getByRole("button", {name: button, exact: true}).click();
        const line = await until("the line is shown", async () => {
          const text = await page.locator("#answer-curl").textContent();
          return text.includes(button === "Put" ? "/put" : "/get") && text;
        });
        if (button === "Put") await daemon.request("delete", {method: "POST", body: JSON.stringify({key})});
        const answer = JSON.parse(execFileSync("sh", ["-c", `${line} -s`], {encoding: "utf8"}));
        assert.equal(answer.status, "OK", line);
        if (button === "Look up") assert.equal(answer.value, `${key}!`);
      }
      await page.getByRole("button", {name: "Delete"}).click();
      await until("it is deleted", async () => /\/delete/.test(await page.locator("#answer-curl").textContent()));
    }
    await close(page);
  }));
});

describe("a token", () => {
  test("is asked for, refused, accepted, read-only and revoked, and kept nowhere", async () => {
    const file = path.join(temporaryFolder(), "tokens");
    const write = (text) => { fs.writeFileSync(file, text); fs.chmodSync(file, 0o600); };
    write("read-only reader\nread-write writer\n");
    await withDaemon(["--auth-token-file", file], async (daemon) => {
      const page = await open(browser, daemon.url);
      const reason = (text) => until(`the reason has ${text}`, async () =>
        (await page.locator("#reason").textContent()).includes(text));
      const enter = async (token) => {
        await page.getByLabel("Token", {exact: true}).fill(token);
        await page.getByLabel("Token", {exact: true}).press("Enter");
      };
      await reason("Enter a token");
      assert.equal(await page.locator('[data-figure="entries"]').textContent(), "–");
      await enter("wrong");
      await reason("does not accept");
      await enter("reader");
      await reason("nothing is evicted");
      assert.equal(await page.locator('[data-figure="entries"]').textContent(), "0");
      await page.getByLabel("Key", {exact: true}).fill("k");
      await page.getByRole("button", {name: "Put", exact: true}).click();
      await until("the write is refused", async () => (await page.locator("#answer-status").textContent()).startsWith("403"));
      assert.ok((await page.locator("#answer-curl").textContent()).startsWith('curl -H "Authorization: Bearer $TOKEN" '));
      await enter("writer");
      await page.getByRole("button", {name: "Put", exact: true}).click();
      await until("the write is accepted", async () => (await page.locator("#answer-status").textContent()) === "200 OK");
      write("read-only reader\n");
      daemon.signal("SIGHUP");
      await reason("does not accept");
      const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie, location.href]);
      assert.deepEqual(kept, [0, 0, "", daemon.url]);
      for (const request of page.requests) assert.doesNotMatch(request.url(), /writer|reader|wrong/);
      assert.doesNotMatch(await page.content(), /writer/);
      await page.reload();
      await reason("Enter a token");
      assert.equal(await page.getByLabel("Token", {exact: true}).inputValue(), "");
      await close(page);
    });
  });
});

describe("the connection", () => {
  test("is reported as gone, and returns by itself", async () => {
    let daemon = await Daemon.start();
    const {port} = daemon;
    const page = await open(browser, daemon.url);
    await untilState(page, "Healthy");
    await daemon.stop();
    await untilState(page, "Unreachable");
    assert.match(await page.locator("#reason").textContent(), /does not respond/);
    daemon = await Daemon.start([], port);
    await untilState(page, "Healthy");
    daemon.signal("SIGSTOP"); // it accepts connections, and responds to none
    await untilState(page, "Unreachable");
    daemon.signal("SIGCONT");
    await untilState(page, "Healthy");
    await close(page);
    await daemon.stop();
  });

  test("is reported as draining", () => withDaemon(["--drain-delay-ms", "4000"], async (daemon) => {
    const page = await open(browser, daemon.url);
    await untilState(page, "Healthy");
    daemon.signal("SIGTERM");
    await untilState(page, "Draining");
    await untilState(page, "Unreachable");
    await close(page);
  }));

  test("carries one poll at a time, about once a second", () => withDaemon([], async (daemon) => {
    const page = await open(browser, "about:blank");
    let underWay = 0, most = 0, polls = 0;
    await page.route("**/stats", async (route) => {
      most = Math.max(most, ++underWay);
      ++polls;
      if (polls === 2) await sleep(2500);
      await route.continue();
      --underWay;
    });
    await page.goto(daemon.url);
    await sleep(7500);
    assert.equal(most, 1);
    assert.ok(polls >= 5 && polls <= 8, `${polls} polls`);
    await close(page);
  }));

  test("is silent while the page is hidden", () => withDaemon([], async (daemon) => {
    const page = await open(browser, daemon.url);
    await untilState(page, "Healthy");
    const setHidden = (hidden) => page.evaluate((value) => {
      Object.defineProperty(document, "hidden", {value, configurable: true});
      Object.defineProperty(document, "visibilityState", {value: value ? "hidden" : "visible", configurable: true});
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
    await setHidden(true);
    await sleep(300);
    const before = (await daemon.stats()).since_start.responses.stats.status_200;
    const sent = page.requests.length;
    await sleep(3500);
    assert.equal(page.requests.length, sent);
    assert.equal((await daemon.stats()).since_start.responses.stats.status_200, before + 1); // this one
    await setHidden(false);
    await until("it polls again", () => page.requests.length > sent + 1);
    assert.equal(await state(page), "Healthy");
    await close(page);
  }));
});

// One figure of the daemon's /stats at a time is replaced.
describe("each state", () => {
  const states = {
    "Rejecting writes": (stats) => { stats.last_minute.put_outcomes.no_room = 3; },
    "Memory emergency": (stats) => { stats.eviction.tier = "emergency"; },
    "Loading": (stats) => { stats.state = "loading"; },
    "Draining": (stats) => { stats.state = "draining"; },
    "Internal errors": (stats) => { stats.last_minute.refused.status_500 = 2; },
    "Healthy, snapshot failed": (stats) => { stats.snapshot.last_save.result = "failed"; },
    "Healthy, near the connection limit": (stats) => { stats.connections.now = stats.configuration.max_connections; },
    "Healthy, evicting": (stats) => { stats.eviction.tier = "pressure"; },
    "Healthy": () => {},
  };
  test("is named, and says why", () => withDaemon([], async (daemon) => {
    const page = await open(browser, "about:blank");
    let change = () => {};
    await page.route("**/stats", async (route) => {
      const response = await route.fetch();
      const stats = await response.json();
      change(stats);
      await route.fulfill({response, json: stats});
    });
    await page.goto(daemon.url);
    const reasons = new Set();
    for (const [expected, replace] of Object.entries(states)) {
      change = replace;
      await untilState(page, expected);
      reasons.add(await page.locator("#reason").textContent());
    }
    assert.equal(reasons.size, Object.keys(states).length);
    await close(page);
  }));
});

describe("the document", () => {
  test("fetches nothing but figures", () => withDaemon([], async (daemon) => {
    const page = await open(browser, daemon.url);
    await untilState(page, "Healthy");
    const others = page.requests.map((request) => request.url()).filter((url) => !url.startsWith("data:"));
    assert.deepEqual(new Set(others), new Set([daemon.url, `${daemon.url}stats`]));
    await close(page);
  }));

  test("has no fault that axe finds, and fits, at three widths and in both schemes", () => withDaemon([], async (daemon) => {
    for (const width of WIDTHS)
      for (const colorScheme of SCHEMES) {
        const page = await open(browser, daemon.url, {viewport: {width, height: 900}, colorScheme, reducedMotion: "reduce"});
        await untilState(page, "Healthy");
        await page.getByLabel("Key", {exact: true}).fill("k".repeat(200));
        await page.getByRole("button", {name: "Look up"}).click();
        await page.locator("#answer").waitFor();
        await page.evaluate(axeScript);
        for (const focused of [null, ".term >> nth=5"]) {
          if (focused !== null) await page.locator(focused).hover();
          const {violations, passes} = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ["violations"]}));
          assert.deepEqual(violations.map(({id, nodes}) => [id, nodes.map((node) => node.html)]), [], `${width} ${colorScheme}`);
          assert.ok(passes.some(({id}) => id === "color-contrast"));
        }
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${width} is too narrow`);
        assert.equal(await page.locator(".part").first().evaluate((part) => getComputedStyle(part).transitionDuration), "0s");
        await close(page);
      }
  }));

  test("is reached by the keyboard alone", () => withDaemon([], async (daemon) => {
    const page = await open(browser, daemon.url);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter"); // the link to the form
    assert.equal(await page.evaluate(() => document.activeElement.id), "key");
    await page.reload();
    const reached = new Set();
    for (let i = 0; i < 120; ++i) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
    }
    for (const id of ["key", "value", "ttl", "token", "look-up", "put", "delete", "hits-title"]) assert.ok(reached.has(id), id);
    await close(page);
  }));

  test("is no help to a stored page, which runs no script", () => withDaemon([], async (daemon) => {
    const stored = `<!DOCTYPE html><title>stored</title><p id="seen">untouched</p>
      <script>document.getElementById("seen").textContent = "a script ran"</script>
      <img src="data:," onerror='document.getElementById("seen").textContent = "a handler ran"'>`;
    await daemon.request("kv/page", {method: "PUT", body: stored, headers: {"Content-Type": "text/html"}});
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${daemon.url}kv/page`);
    assert.equal(await page.locator("#seen").textContent(), "untouched");
    await page.context().close();
  }));
});

describe("the screenshots", () => {
  async function shoot(page, name) {
    const file = path.join(source, "src/page", `${name}.png`);
    const image = await page.screenshot({fullPage: true, animations: "disabled"});
    if (updates) fs.writeFileSync(file, image);
    const widthOf = (png) => png.readUInt32BE(16);
    assert.equal(widthOf(image), widthOf(fs.readFileSync(file)), `${name}.png is of another page: page_test.py --update`);
  }
  const seconds = updates ? 75 : 3;
  const view = {viewport: {width: 1280, height: 800}, colorScheme: "light"};

  test("show an idle cache", () => withDaemon(["--memory-limit", "512M"], async (daemon) => {
    for (let i = 0; i < 2000; ++i) await (await daemon.put(`user:${i}`, "x".repeat(80))).arrayBuffer();
    const page = await open(browser, daemon.url, view);
    await untilState(page, "Healthy");
    await sleep(1000 * seconds);
    await shoot(page, "idle");
    await close(page);
  }));

  test("show a cache under pressure", () => withDaemon(["--memory-limit", "64M"], async (daemon) => {
    const page = await open(browser, daemon.url, view);
    const value = "x".repeat(4 * KiB);
    let runs = true;
    const fill = (async () => {
      for (let i = 0; runs; ++i) {
        await (await daemon.request(`kv/page-${i}`, {method: "PUT", body: value})).arrayBuffer();
        if (i % 20 === 0) await sleep(2);
      }
    })();
    const load = new Load(daemon, {keys: 500});
    await untilState(page, "Healthy, evicting");
    await sleep(1000 * seconds);
    await shoot(page, "pressure");
    assert.ok((await daemon.stats()).eviction.evictions.lru > 0);
    runs = false;
    await Promise.all([fill, load.stop()]);
    await close(page);
  }));
});
