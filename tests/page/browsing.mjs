// Shared by the tests of the page: the daemon, a browser, and pages that keep what they complain of.
import assert from "node:assert/strict";
import {spawn} from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import {createRequire} from "node:module";
import {setTimeout as sleep} from "node:timers/promises";

// Set by page_test.py.
export const {PAGE_TEST_PROGRAM: program, PAGE_TEST_PACKAGES: packages, PAGE_TEST_SOURCE: source,
  PAGE_TEST_BROWSER: browserProgram} = process.env;
export const updates = process.env.PAGE_TEST_UPDATE === "1";
const require = createRequire(path.join(packages, "package.json"));
const {chromium} = require("playwright-core");
export const axeScript = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PATIENCE_MS = 30000;

export {sleep};

export async function until(what, condition, patience = PATIENCE_MS) {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(50)) {
    const found = await condition();
    if (found) return found;
  }
  throw new Error(`in ${patience} ms it did not come to this: ${what}`);
}

export class Daemon {
  static async start(options = [], port = 0) {
    const daemon = new Daemon();
    daemon.log = "";
    daemon.process = spawn(program, ["--bind", "127.0.0.1", "--port", String(port), "--threads", "2", ...options],
      {stdio: ["ignore", "pipe", "pipe"]});
    daemon.ended = new Promise((resolve) => { daemon.process.on("exit", resolve); });
    for (const stream of [daemon.process.stdout, daemon.process.stderr])
      stream.on("data", (text) => { daemon.log += text; });
    daemon.port = Number((await until("the daemon logs its address", () => {
      assert.equal(daemon.process.exitCode, null, daemon.log);
      return /listening on 127\.0\.0\.1:(\d+)/.exec(daemon.log);
    }))[1]);
    daemon.url = `http://127.0.0.1:${daemon.port}/`;
    return daemon;
  }

  signal(name) { this.process.kill(name); }

  async stop() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.signal("SIGCONT");
      this.signal("SIGTERM");
    }
    await this.ended;
  }

  async request(target, options = {}) { return fetch(new URL(target, this.url), options); }
  async put(key, value, more = {}) {
    return this.request("put", {method: "POST", body: JSON.stringify({key, value, ...more})});
  }
  async stats() { return (await this.request("stats")).json(); }
}

export const temporaryFolder = () => fs.mkdtempSync(path.join(os.tmpdir(), "page-test-"));

export const launch = () => chromium.launch({executablePath: browserProgram,
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"]});

// Chromium's own word of a request that failed is no complaint of the page.
const FAILED_REQUEST = /^Failed to load resource: /;

// Opens the page. What it complains of, and what it requests, is kept in `complaints` and `requests`.
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({viewport: {width: 1280, height: 900}, ...options});
  const page = await context.newPage();
  page.complaints = [];
  page.requests = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !FAILED_REQUEST.test(message.text()))
      page.complaints.push(message.text());
  });
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("dialog", (dialog) => { page.complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => page.requests.push(request));
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url);
  return page;
}

export async function close(page) {
  const violations = await page.evaluate(() => globalThis.violations);
  await page.context().close();
  assert.deepEqual([...violations, ...page.complaints], []);
}

export const state = (page) => page.getByRole("status").textContent();
export const untilState = (page, expected) => until(`the page says ${expected}`, async () => (await state(page)) === expected);

// Sends gets, puts and deletes until it is stopped.
export class Load {
  constructor(daemon, {clients = 4, keys = 2000, value = "v".repeat(100), pause = 2} = {}) {
    Object.assign(this, {daemon, keys, value, pause, runs: true});
    this.done = Promise.all(Array.from({length: clients}, (_, number) => this.run(number)));
  }

  async run(number) {
    for (let i = number; this.runs; i += 7) {
      const key = `key-${i % this.keys}`;
      try {
        if (i % 10 === 0) await (await this.daemon.put(key, this.value)).arrayBuffer();
        else if (i % 97 === 0) await (await this.daemon.request("delete", {method: "POST", body: JSON.stringify({key})})).arrayBuffer();
        else if (i % 89 === 0) await (await this.daemon.request("batch", {method: "POST",
          body: JSON.stringify({ops: [{op: "get", key}, {op: "put", key, value: "b"}]})})).arrayBuffer();
        else await (await this.daemon.request(`get?key=${key}`)).arrayBuffer();
      } catch {
        await sleep(100); // the daemon has gone
      }
      if (this.pause > 0) await sleep(this.pause);
    }
  }

  async stop() {
    this.runs = false;
    await this.done;
  }
}
