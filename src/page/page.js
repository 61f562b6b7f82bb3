"use strict";

// Shows /stats, once a second, and sends single requests. Nothing is stored: history and token live as long
// as the page. All text from the server and from the user is set as text, never as markup.
(() => {
  const POLL_MS = 1000;
  const PATIENCE_MS = 5000; // without a response, the server counts as unreachable
  const HISTORY_MS = 600000;
  const SHORTEST_MS = 60000; // that lines show, as long as the page has seen less
  const GAP_MS = 5000; // a longer time between two samples interrupts the lines
  const SHOWN_CHARS = 20000; // of a response

  const byId = (id) => document.getElementById(id);
  const urlOf = (path) => new URL(path, document.baseURI).href;

  // ---- units: the text that is shown, and the exact one for its title ----

  const NOTHING = "–";
  const rounded = (number, digits = 3) =>
    number.toLocaleString("en", {maximumSignificantDigits: digits, useGrouping: true});

  const scaled = (number, base, units) => {
    let step = 0;
    while (step < units.length - 1 && Math.abs(number) >= base) {
      number /= base;
      ++step;
    }
    return rounded(number, Math.abs(number) >= 1000 ? 4 : 3) + units[step];
  };

  const span = (seconds) => {
    const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const first = Math.max(0, parts.findIndex(([length]) => seconds >= length));
    if (seconds < 1) return "0 s";
    return parts.slice(first, first + 2)
      .map(([length, unit], at) => [Math.floor((at ? seconds % parts[first][0] : seconds) / length), unit])
      .filter(([count], at) => at === 0 || count > 0)
      .map(([count, unit]) => `${count} ${unit}`).join(" ");
  };

  const UNITS = {
    text: [String, String],
    bytes: [(n) => scaled(n, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]), (n) => `${n} bytes`],
    count: [(n) => n < 10000 ? rounded(n, 5) : scaled(n, 1000, ["", " k", " M", " G", " T"]), String],
    rate: [(n) => n < 10000 ? rounded(n, 3) : scaled(n, 1000, ["", " k", " M", " G"]), (n) => `${n} per second`],
    percent: [(n) => `${n === 100 ? n : n.toFixed(1)} %`, (n) => `${n} %`],
    ratio: [(n) => UNITS.percent[0](100 * n), String],
    microseconds: [(n) => scaled(n, 1000, [" µs", " ms", " s"]), (n) => `${n} µs`],
    span: [span, (n) => `${n} s`],
    limit: [(n) => n === 0 ? "none" : UNITS.count[0](n), (n) => n === 0 ? "none" : String(n)],
  };

  // ---- figures: what is shown under each name, from the present /stats and the one before ----

  // Operations by the lines that they are counted in. The page's own requests are in none.
  const OPERATIONS = {get: ["get", "kv_get"], put: ["put", "kv_put"], delete: ["delete", "kv_delete"], batch: ["batch"]};
  const OWN = ["stats", "readyz", "page"];
  const CAUSES = ["lru", "clock", "emergency", "max_entries"];

  const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
  const responses = (stats, isCounted) =>
    sum(Object.entries(stats.since_start.responses)
      .filter(([operation]) => isCounted(operation))
      .flatMap(([, byStatus]) => Object.values(byStatus)));
  const responsesOf = (line) => (stats) => responses(stats, (operation) => OPERATIONS[line].includes(operation));
  const named = [...Object.values(OPERATIONS).flat(), ...OWN];
  const evicted = (stats) => sum(CAUSES.map((cause) => stats.eviction.evictions[cause])) + stats.eviction.expired;

  const isSameProcess = (now, before) =>
    before !== null && now.process.started_at_s === before.process.started_at_s && now.uptime_s > before.uptime_s;
  const rate = (count) => ["rate", (now, before) =>
    isSameProcess(now, before) ? (count(now) - count(before)) / (now.uptime_s - before.uptime_s) : null];
  const latency = (member, quantile) => ["microseconds", (now) =>
    now.last_minute[member].max === 0 ? null : now.last_minute[member][quantile]];

  // Such as those of /stats without a token.
  const ownErrors = ({last_minute: minute}) => sum(OWN.flatMap((operation) =>
    Object.entries(minute.responses[operation] ?? {})
      .filter(([status]) => status >= "status_4").map(([, count]) => count)));

  const usedByOthers = ({memory}) => Math.max(0, memory.used_bytes - memory.held_bytes);
  const reusable = ({memory}) => Math.max(0, memory.held_bytes - memory.live_bytes - memory.index_bytes);
  const unused = (now) => Math.max(0, now.memory.limit_bytes - Math.max(now.memory.used_bytes, now.memory.held_bytes));
  const snapshotText = ({result, entries, seconds, time}) =>
    time === null ? result : `${result}, ${UNITS.count[0](entries)} entries in ${rounded(seconds)} s, ${time}`;

  const FIGURES = {
    "version": ["text", (now) => now.version, (now) => `${now.version}, revision ${now.revision}`],
    "uptime": ["span", (now) => now.uptime_s],
    "tier": ["text", (now) => now.eviction.tier],
    "memory.use_percent": ["percent", (now) => now.memory.use_percent],
    "memory.used": ["bytes", (now) => now.memory.used_bytes],
    "memory.limit": ["bytes", (now) => now.memory.limit_bytes],
    "memory.source": ["text", (now) => now.memory.source],
    "memory.others": ["bytes", usedByOthers],
    "memory.entries": ["bytes", (now) => now.memory.live_bytes],
    "memory.index": ["bytes", (now) => now.memory.index_bytes],
    "memory.reusable": ["bytes", reusable],
    "memory.unused": ["bytes", unused],
    "requests.total": rate((stats) => responses(stats, (operation) => !OWN.includes(operation))),
    "requests.get": rate(responsesOf("get")),
    "requests.put": rate(responsesOf("put")),
    "requests.delete": rate(responsesOf("delete")),
    "requests.batch": rate(responsesOf("batch")),
    "requests.other": rate((stats) => responses(stats, (operation) => !named.includes(operation))),
    "hit_ratio": ["ratio", (now) => now.last_minute.hit_ratio],
    "hits": ["count", (now) => now.last_minute.hits],
    "misses": ["count", (now) => now.last_minute.misses],
    "connections.now": ["count", (now) => now.connections.now],
    "connections.limit": ["count", (now) => now.configuration.max_connections],
    "connections.refused": ["count", (now) => now.connections.refused],
    "get.p50": latency("get_latency_us", "p50"),
    "get.p99": latency("get_latency_us", "p99"),
    "get.p999": latency("get_latency_us", "p999"),
    "put.p50": latency("put_latency_us", "p50"),
    "put.p99": latency("put_latency_us", "p99"),
    "put.p999": latency("put_latency_us", "p999"),
    "evictions.total": rate(evicted),
    ...Object.fromEntries(CAUSES.flatMap((cause) => [
      [`evictions.${cause}`, rate((stats) => stats.eviction.evictions[cause])],
      [`evictions.${cause}.sum`, ["count", (now) => now.eviction.evictions[cause]]],
    ])),
    "evictions.expired": rate((stats) => stats.eviction.expired),
    "evictions.expired.sum": ["count", (now) => now.eviction.expired],
    "entries": ["count", (now) => now.entries],
    "bytes_per_entry": ["bytes", (now) =>
      now.entries === 0 ? null : (now.memory.live_bytes + now.memory.index_bytes) / now.entries],
    "max_entries": ["limit", (now) => now.configuration.max_entries],
    "max_key_chars": ["count", (now) => now.configuration.max_key_chars],
    "max_value_chars": ["count", (now) => now.configuration.max_value_chars],
    "max_value_bytes": ["bytes", (now) => now.configuration.max_value_bytes],
    "errors": ["count", (now) => sum(Object.values(now.last_minute.refused)) - ownErrors(now)],
    "snapshot.load": ["text", (now) => snapshotText(now.snapshot.last_load)],
    "snapshot.save": ["text", (now) => snapshotText(now.snapshot.last_save)],
  };

  // ---- lines ----

  const CHARTS = {
    memory: {unit: "percent", top: 100, lines: {c1: "memory.use_percent"}},
    requests: {unit: "rate", lines: {c1: "requests.get", c2: "requests.put", c3: "requests.delete", c4: "requests.batch",
      c5: "requests.other"}},
    hits: {unit: "ratio", top: 1, lines: {c1: "hit_ratio"}},
    connections: {unit: "count", lines: {c1: "connections.now"}},
    get: {unit: "microseconds", logarithmic: true, lines: {c1: "get.p50", c2: "get.p99", c3: "get.p999"}},
    put: {unit: "microseconds", logarithmic: true, lines: {c1: "put.p50", c2: "put.p99", c3: "put.p999"}},
    evictions: {unit: "rate", lines: {c1: "evictions.lru", c2: "evictions.clock", c3: "evictions.emergency",
      c4: "evictions.max_entries", c5: "evictions.expired"}},
  };
  const WIDTH = 600;
  const HEIGHT = 100;

  const svg = (name, attributes, parent) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    parent.append(made);
    return made;
  };

  for (const [name, chart] of Object.entries(CHARTS)) {
    const root = byId(`chart-${name}`);
    const plot = svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", width: "100%", height: "100%"}, root);
    for (const y of [0, HEIGHT]) svg("line", {x1: 0, x2: WIDTH, y1: y, y2: y}, plot);
    chart.paths = Object.keys(chart.lines).reverse() // the first line is on top
      .map((colour) => [chart.lines[colour], svg("path", {class: colour}, plot)]);
    chart.scale = svg("text", {x: 2, y: -4}, root);
    chart.time = svg("text", {x: "100%", y: -4, "text-anchor": "end"}, root);
    chart.root = root;
    chart.label = root.getAttribute("aria-label");
  }

  // The least of 1, 2, 5, 10, 20, … that is not less.
  const roundedUp = (number) => {
    const power = 10 ** Math.floor(Math.log10(number));
    return power * [1, 2, 5, 10].find((step) => step * power >= number * 0.999999);
  };

  let samples = []; // {at, values}, oldest first

  const draw = (chart, now) => {
    const length = Math.min(HISTORY_MS, Math.max(SHORTEST_MS, now - samples[0].at));
    const shown = Object.values(chart.lines);
    const all = samples.flatMap(({values}) => shown.map((name) => values[name])).filter((value) => value !== null);
    const highest = all.reduce((most, each) => Math.max(most, each), 0);
    const top = chart.top ?? (highest > 0 ? roundedUp(highest) : 1);
    const yOf = chart.logarithmic
      ? (value) => HEIGHT * (1 - Math.log10(Math.max(1, value)) / Math.max(1, Math.log10(top)))
      : (value) => HEIGHT * (1 - value / top);
    for (const [name, path] of chart.paths) {
      let line = "";
      let last = null;
      for (const {at, values} of samples) {
        const value = values[name];
        if (value !== null) {
          const x = WIDTH * (1 - (now - at) / length);
          line += `${last === null || at - last > GAP_MS ? "M" : "L"}${x.toFixed(1)} ${yOf(value).toFixed(1)}`;
        }
        last = value === null ? null : at;
      }
      path.setAttribute("d", line);
    }
    const highestText = `${UNITS[chart.unit][0](top)}${chart.logarithmic ? ", logarithmic" : ""}`;
    const text = all.length === 0 ? "no figures yet" : highestText;
    const time = span(Math.floor(length / 60000) * 60);
    chart.scale.textContent = text;
    chart.time.textContent = `last ${time}`;
    chart.root.setAttribute("aria-label", `${chart.label}, the last ${time}${all.length === 0 ? ": " : ", from 0 to "}${text}`);
  };

  // ---- showing one answer of /stats ----

  const places = [...document.querySelectorAll("[data-figure]")];

  const show = (place, unit, value, exact) => {
    const text = value === null ? NOTHING : UNITS[unit][0](value);
    const title = value === null ? "no figure yet" : exact ?? UNITS[unit][1](value);
    if (place.textContent !== text) place.textContent = text;
    if (place.title !== title) place.title = title;
  };

  const showBar = (now) => {
    const {limit_bytes: limit, used_bytes: used, held_bytes: held} = now.memory;
    const whole = Math.max(limit, used, held, 1);
    const parts = {others: usedByOthers(now), entries: now.memory.live_bytes, index: now.memory.index_bytes,
      reusable: reusable(now)};
    for (const [name, bytes] of Object.entries(parts))
      document.querySelector(`.part.${name}`).style.width = `${100 * bytes / whole}%`;
    for (const name of ["pressure", "emergency"]) {
      const percent = now.configuration[`${name}_percent`];
      const mark = byId(`${name}-mark`);
      mark.style.left = `${percent * limit / whole}%`;
      mark.querySelector(".percent").textContent = `${percent} %`;
    }
    const told = Object.entries({...parts, unused: unused(now)})
      .map(([name, bytes]) => `${name} ${UNITS.bytes[0](bytes)}`).join(", ");
    byId("bar").setAttribute("aria-label", `Memory up to ${UNITS.bytes[0](limit)}: ${told}`);
  };

  let changesShown = "";

  const showChanges = ({configuration, changed_defaults: defaults}) => {
    const changes = Object.entries(defaults).map(([name, preset]) => [name, configuration[name], preset]);
    const key = JSON.stringify(changes);
    if (key === changesShown) return;
    changesShown = key;
    byId("changes").hidden = changes.length === 0;
    byId("no-changes").hidden = changes.length !== 0;
    const text = (value) => value === null ? "auto" : value === true ? "on" : value === false ? "off" : String(value);
    byId("changes").tBodies[0].replaceChildren(...changes.map(([name, ...values]) => {
      const row = document.createElement("tr");
      row.insertCell().textContent = name;
      for (const value of values) {
        const isSize = name.endsWith("_bytes") && value !== null;
        show(row.insertCell(), isSize ? "bytes" : "text", isSize ? value : text(value));
      }
      return row;
    }));
  };

  // What the state is, and why: [level, state, reason].
  const judge = (now) => {
    const {memory, configuration, eviction, snapshot} = now;
    const minute = now.last_minute;
    const use = `${memory.use_percent?.toFixed(0) ?? NOTHING} % of ${UNITS.bytes[0](memory.limit_bytes)} is in use`;
    const unstored = minute.put_outcomes.no_room + minute.put_outcomes.out_of_memory;
    if (now.state === "draining")
      return ["note", "Draining", "The server is stopping: it finishes the requests that it has received."];
    if (unstored > 0)
      return ["bad", "Rejecting writes", `${unstored} PUTs of the last minute were rejected, because no memory could be freed: ${use}.`];
    if (eviction.tier === "emergency")
      return ["bad", "Memory emergency", `${use}, above the emergency mark: entries are evicted immediately.`];
    if (now.state === "loading")
      return ["note", "Loading", `The snapshot is being loaded; requests are served, but more of them miss. ${use}.`];
    if ((minute.refused.status_500 ?? 0) > 0)
      return ["bad", "Internal errors", `${minute.refused.status_500} requests of the last minute got 500: read the log.`];
    if (snapshot.last_save.result === "failed")
      return ["note", "Healthy, snapshot failed", "The last snapshot could not be written: read the log."];
    if (now.connections.now >= 0.9 * configuration.max_connections)
      return ["note", "Healthy, near the connection limit", `${now.connections.now} of ${configuration.max_connections} connections are open.`];
    if (eviction.tier === "pressure")
      return ["ok", "Healthy, evicting", `${use}, above the pressure mark of ${configuration.pressure_percent} %: the cache is full, and evicts the least valuable entries. This is normal; more memory would raise the hit ratio.`];
    return ["ok", "Healthy", `${use}; nothing is evicted for memory below ${configuration.pressure_percent} %.`];
  };

  const showState = (level, state, reason) => {
    byId("health").dataset.level = level;
    if (byId("state").textContent !== state) byId("state").textContent = state; // announced when it changes
    if (byId("reason").textContent !== reason) byId("reason").textContent = reason;
  };

  let before = null; // the previous answer of /stats

  const showStats = (now) => {
    const at = performance.now();
    const values = {};
    for (const [name, [, value]] of Object.entries(FIGURES)) values[name] = value(now, before);
    for (const place of places) {
      const name = place.dataset.figure;
      const [unit, , exact] = FIGURES[name];
      show(place, unit, values[name], exact?.(now));
    }
    for (const row of document.querySelectorAll(".snapshot")) row.hidden = !now.configuration.snapshot_file;
    samples = [...samples.filter((sample) => at - sample.at < HISTORY_MS), {at, values}];
    for (const chart of Object.values(CHARTS)) draw(chart, at);
    showBar(now);
    showChanges(now);
    showState(...judge(now));
    before = now;
  };

  // ---- polling ----

  let token = "";
  let tokenIsRefused = false; // then only the state is asked for, which is open to everyone
  let reachedAt = null; // when the last response came
  let underWay = null; // the AbortController of the poll
  let timer = 0;

  const fieldsWithToken = () => token === "" ? {} : {Authorization: `Bearer ${token}`};

  const messageOf = async (response) => {
    try {
      return (await response.json()).message;
    } catch {
      return "";
    }
  };

  const pollStats = async (signal) => {
    const response = await fetch(urlOf("stats"), {cache: "no-store", signal, headers: fieldsWithToken()});
    if (response.ok) return showStats(await response.json());
    if (response.status === 401) {
      tokenIsRefused = true;
      return pollState(signal);
    }
    showState("bad", "Not available", `/stats responds with ${response.status}. ${await messageOf(response)}`);
  };

  const pollState = async (signal) => {
    const response = await fetch(urlOf("readyz"), {cache: "no-store", signal});
    const message = await messageOf(response);
    const [level, state] = response.ok ? ["ok", "Healthy"] : ["note", message.includes("stopping") ? "Draining" : "Loading"];
    const wanted = token === "" ? "Enter a token to see the figures." : "The server does not accept this token.";
    showState(level, state, `${message} ${wanted}`);
  };

  const poll = async () => {
    timer = 0;
    const controller = underWay = new AbortController();
    const patience = setTimeout(() => controller.abort(), PATIENCE_MS);
    const begun = performance.now();
    try {
      await (tokenIsRefused ? pollState : pollStats)(controller.signal);
      reachedAt = new Date();
    } catch {
      if (underWay !== controller) return; // the page was hidden, or another token was entered
      tokenIsRefused = false; // the server may have another token file when it returns
      before = null;
      const since = reachedAt === null ? "" : ` The figures are those of ${reachedAt.toLocaleTimeString()}.`;
      showState("bad", "Unreachable", `The server does not respond; this page keeps trying.${since}`);
    } finally {
      clearTimeout(patience);
    }
    if (underWay !== controller) return;
    underWay = null;
    timer = setTimeout(poll, Math.max(0, POLL_MS - (performance.now() - begun)));
  };

  const stopPolling = () => {
    clearTimeout(timer);
    const controller = underWay;
    underWay = null;
    controller?.abort();
  };

  const pollNow = () => {
    stopPolling();
    if (!document.hidden) poll();
  };

  document.addEventListener("visibilitychange", pollNow);

  // ---- single requests ----

  // JSON as text that a terminal shows unchanged: control and format characters are escaped.
  const jsonOf = (value) => JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (found) =>
    [...Array(found.length).keys()]
      .map((at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""));

  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

  const REQUESTS = {
    "look-up": () => ({path: `get?key=${encodeURIComponent(byId("key").value)}`}),
    "put": () => {
      const ttl = byId("ttl").value.trim();
      if (!/^\d*$/.test(ttl)) throw new RangeError("The TTL is a whole number of seconds.");
      return {path: "put", body: jsonOf({key: byId("key").value, value: byId("value").value,
        ...(ttl === "" ? {} : {ttl: Number(ttl)})})};
    },
    "delete": () => ({path: "delete", body: jsonOf({key: byId("key").value})}),
  };

  const curlOf = ({path, body}) => ["curl",
    ...(token === "" ? [] : ['-H "Authorization: Bearer $TOKEN"']),
    ...(body === undefined ? [] : [`-d ${quoted(body)}`]),
    quoted(urlOf(path))].join(" ");

  const cut = (text) => text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}… (${text.length} characters)` : text;

  const valueIn = (text) => {
    try {
      const {value} = JSON.parse(text);
      return typeof value === "string" ? value : null;
    } catch {
      return null;
    }
  };

  const showAnswer = (status, time, body, curl) => {
    const value = valueIn(body);
    byId("answer-status").textContent = status;
    byId("answer-time").textContent = time === null ? "" : UNITS.microseconds[0](1000 * time);
    byId("answer-time").title = time === null ? "" : `${time} ms, with the network`;
    byId("answer-value-row").hidden = value === null;
    byId("answer-value").textContent = cut(value ?? "");
    byId("answer-body").textContent = cut(body);
    byId("answer-curl").textContent = curl;
    byId("answer").hidden = false;
  };

  let answersAsked = 0; // only the last one is shown

  const ask = async (name) => {
    applyToken();
    const number = ++answersAsked;
    let request;
    try {
      request = REQUESTS[name]();
    } catch (error) { // of encodeURIComponent, too
      const message = error instanceof URIError ? "The key has half of a character (a lone surrogate)." : error.message;
      return showAnswer("Not sent", null, message, "");
    }
    const begun = performance.now();
    try {
      const response = await fetch(urlOf(request.path), {cache: "no-store", headers: fieldsWithToken(),
        method: request.body === undefined ? "GET" : "POST", body: request.body});
      const text = await response.text();
      if (number === answersAsked)
        showAnswer(`${response.status} ${response.statusText}`, performance.now() - begun, text, curlOf(request));
    } catch {
      if (number === answersAsked) showAnswer("No response", null, "The server does not respond.", curlOf(request));
    }
  };

  const applyToken = () => {
    const entered = byId("token").value.trim();
    if (entered === token) return;
    if (!/^[\x21-\x7e]*$/.test(entered)) return showAnswer("Not used", null, "A token has visible ASCII characters only.", "");
    token = entered;
    tokenIsRefused = false;
    pollNow();
  };

  for (const name of Object.keys(REQUESTS)) byId(name).addEventListener("click", () => ask(name));
  byId("token").addEventListener("change", applyToken);
  byId("form").addEventListener("submit", (event) => event.preventDefault());
  byId("form").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || event.target.tagName !== "INPUT") return;
    event.preventDefault();
    if (event.target.id === "token") applyToken();
    else ask(event.target.id === "key" ? "look-up" : "put");
  });

  // ---- explanations ----

  [...document.querySelectorAll(".term")].forEach((term, at) => {
    const holder = document.createElement("span");
    const tip = document.createElement("span");
    tip.className = "tip";
    tip.id = `tip-${at}`;
    tip.setAttribute("role", "tooltip");
    tip.textContent = term.dataset.tip;
    term.setAttribute("aria-describedby", tip.id);
    term.replaceWith(holder);
    holder.append(term, tip);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement.classList.contains("term")) document.activeElement.blur();
  });

  pollNow();
})();
