"use strict";
// Reads status.json again and again and shows it. What the server says is only ever put in as text.
(() => {
  const PERIOD = 2000, PATIENCE = 5000;
  const $ = (id) => document.getElementById(id);
  let before = null, paused = false, timer = null;

  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const number = (value, digits = 0) =>
    value === null || value === undefined || Number.isNaN(value) ? "–"
      : value.toLocaleString("en", { maximumFractionDigits: digits });
  const rate = (value) => number(value, value < 10 ? 1 : 0);
  const time = (ms) => ms === null || ms === undefined || Number.isNaN(ms) ? "–"
    : ms < 1 ? `${number(ms * 1000)} µs` : ms < 1000 ? `${number(ms, ms < 10 ? 1 : 0)} ms` : `${number(ms / 1000, 1)} s`;
  const bytes = (value) => value === null || value === undefined ? "–"
    : value < 1 << 20 ? `${number(value / 1024)} KiB` : `${number(value / (1 << 20), 1)} MiB`;
  const duration = (seconds) => seconds < 90 ? `${seconds} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min`
    : seconds < 129600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;

  const sum = (counts) => counts.reduce((all, one) => all + one, 0);
  const minus = (now, then) => now.map((count, at) => Math.max(0, count - (then ? then[at] : 0)));
  const plus = (lists) => lists.length === 0 ? [] : lists[0].map((_, at) => sum(lists.map((list) => list[at])));
  // What the share of all that was quickest took at most, as near as the buckets tell.
  const quantile = (counts, bounds, share) => {
    const all = sum(counts);
    if (all === 0) return null;
    const rank = Math.max(1, Math.ceil(all * share));
    let below = 0;
    for (let at = 0; at < counts.length; at += 1) {
      if (below + counts[at] >= rank) {
        const lower = at === 0 ? 0 : bounds[at - 1];
        return at < bounds.length ? lower + (bounds[at] - lower) * (rank - below) / counts[at] : lower;
      }
      below += counts[at];
    }
    return null;
  };

  const pools = (status) => status.databases.flatMap((database) => database.pools);
  const poolBefore = (name) => before && pools(before.status).find((pool) => pool.name === name);
  // Counters that went back are those of a server that was started anew.
  const isNewer = (status) => before && status.uptime_seconds >= before.status.uptime_seconds;

  const tile = (name, value, isBad) =>
    make("div", {}, make("dt", {}, name), make("dd", isBad ? { class: "bad" } : {}, value));

  const showNow = (status, seconds) => {
    const all = pools(status);
    const queries = plus(all.map((pool) => minus(pool.queries, seconds && poolBefore(pool.name)?.queries)));
    const acquires = plus(all.map((pool) => minus(pool.acquires, seconds && poolBefore(pool.name)?.acquires)));
    const errors = sum(all.map((pool) => pool.errors - (seconds ? poolBefore(pool.name)?.errors ?? 0 : 0)));
    const latest = status.history[status.history.length - 1];
    const perSecond = seconds ? sum(queries) / seconds : latest?.queries;
    const p = (share) => time(quantile(queries, status.bounds_ms, share));
    const waiting = sum(all.map((pool) => pool.waiting));
    const proxy = status.clients.proxy === null ? "off"
      : `${number(status.clients.proxy)} of ${number(status.clients.proxy_max)}`;
    $("now").replaceChildren(
      tile("Statements / s", rate(perSecond)),
      tile("Errors / s", rate(seconds ? errors / seconds : latest?.errors), seconds && errors > 0),
      tile("p50", p(0.5)), tile("p95", p(0.95)), tile("p99", p(0.99)),
      tile("Wait for a connection, p99", time(quantile(acquires, status.bounds_ms, 0.99))),
      tile("Callers waiting", number(waiting), waiting > 0),
      tile("RPC clients", number(status.clients.rpc)),
      tile("PostgreSQL clients", proxy),
      tile("Memory", bytes(status.memory_bytes)));
  };

  const showChart = (status) => {
    const rates = status.history.map((sample) => sample.queries);
    const most = Math.max(1, ...rates);
    const step = 600 / Math.max(1, rates.length - 1);
    const points = rates.map((value, at) => `${(at * step).toFixed(1)},${(115 - value / most * 110).toFixed(1)}`);
    const line = document.createElementNS("http:" + "//www.w3.org/2000/svg", "polyline");
    line.setAttribute("points", points.join(" "));
    $("chart").replaceChildren(line);
    const span = duration(Math.round(rates.length * status.interval_seconds));
    $("chart-text").textContent = rates.length < 2 ? "Statements per second: not enough samples yet"
      : `Statements per second over the last ${span}; most: ${rate(Math.max(...rates))}, now: ${rate(rates[rates.length - 1])}`;
  };

  const fact = (name, value, isBad) => value === null || value === undefined ? []
    : [make("div", {}, make("dt", {}, name), make("dd", isBad ? { class: "bad" } : {}, value))];

  const showPool = (database, pool, status, seconds) => {
    const then = seconds ? poolBefore(pool.name) : null;
    const queries = minus(pool.queries, then?.queries);
    const prepared = pool.cache_hits + pool.cache_misses;
    const held = pool.transactions + pool.sessions + pool.pinned;
    const pins = Object.entries(pool.pins).map(([reason, count]) => `${reason} ${number(count)}`).join(", ");
    const state = pool.up === false ? make("span", { class: "bad" }, "down")
      : pool.up === true ? make("span", { class: "good" }, "up") : "";
    const share = (count) => `${(100 * count / Math.max(1, pool.max)).toFixed(1)}%`;
    const active = make("span", { class: "active" }), idle = make("span", { class: "idle" });
    // The policy lets no attribute set a style.
    active.style.width = share(pool.active);
    idle.style.width = share(pool.idle);
    const text = `${pool.active} active, ${pool.idle} idle, ${pool.constructing} being opened, ${pool.max} at most`;
    const article = make("article", { class: "pool", "data-pool": pool.name },
      make("header", {}, make("h3", {}, pool.name), make("p", {}, pool.role + " ", state)),
      make("div", { class: "bar", role: "img", "aria-label": text }, active, idle),
      make("dl", {},
        ...fact("Connections", `${number(pool.active + pool.idle + pool.constructing)} of ${number(pool.max)}`),
        ...fact("Active / idle", `${number(pool.active)} / ${number(pool.idle)}`),
        ...fact("Waiting", number(pool.waiting), pool.waiting > 0),
        ...fact("Held", `${number(held)} of ${number(pool.max_held)}`),
        ...fact("Statements / s", seconds ? rate(sum(queries) / seconds) : "–"),
        ...fact("p99", time(quantile(queries, status.bounds_ms, 0.99))),
        ...fact("Errors", number(pool.errors)),
        ...fact("Slow", number(pool.slow)),
        ...fact("Found prepared", prepared === 0 ? null : `${number(100 * pool.cache_hits / prepared, 1)} %`),
        ...fact("Breaker", pool.breaker, pool.breaker === "open"),
        ...fact("Lag", pool.lag_bytes === null || pool.lag_bytes === undefined ? null
          : `${bytes(pool.lag_bytes)}${pool.lag_seconds === null ? "" : `, ${time(pool.lag_seconds * 1000)}`}`),
        ...fact("Pins", pins === "" ? null : pins),
        ...(pool.role === "primary" && database.proxy_clients !== null
          ? fact("PostgreSQL clients", number(database.proxy_clients)) : []),
        ...(pool.role === "primary" && database.failovers > 0 ? fact("Failovers", number(database.failovers)) : [])));
    if (pool.last_error) article.append(make("p", { class: "error" }, `Last error: ${pool.last_error}`));
    return article;
  };

  const COLUMNS = [["Calls", (s) => number(s.calls)], ["Total", (s) => time(s.total_time_us / 1000)],
    ["Mean", (s) => time(s.mean_time_us / 1000)], ["p99", (s) => time(s.p99_time_us / 1000)],
    ["Rows", (s) => number(s.rows)], ["Errors", (s) => number(s.errors)]];

  const showStatements = (database) => {
    const head = make("tr", {}, make("th", { scope: "col" }, "Statement"),
      ...COLUMNS.map(([name]) => make("th", { scope: "col" }, name)));
    const rows = database.statements.map((statement) => make("tr", {},
      make("td", {}, make("code", {}, statement.query)),
      ...COLUMNS.map(([name, value]) => make("td", { "data-name": name }, value(statement)))));
    return make("div", { class: "scroll" }, make("table", {}, make("caption", {}, database.name),
      make("thead", {}, head), make("tbody", {}, ...rows)));
  };

  const show = (status, now) => {
    const seconds = isNewer(status) ? (now - before.at) / 1000 : 0;
    $("server").textContent = `${status.version}, up for ${duration(status.uptime_seconds)}`;
    showNow(status, seconds);
    showChart(status);
    $("pools").replaceChildren(...status.databases.flatMap((database) =>
      database.pools.map((pool) => showPool(database, pool, status, seconds))));
    const shown = status.databases.filter((database) => database.statements.length > 0);
    $("statements").replaceChildren(...(shown.length === 0 ? [make("p", {}, "None yet.")] : shown.map(showStatements)));
    say(status.draining ? "draining: about to end" : "live", status.draining);
    before = { status, at: now };
  };

  // Announced only when it changes.
  const say = (text, isBad) => {
    const state = $("state");
    if (state.textContent === text) return;
    state.textContent = text;
    state.className = isBad ? "bad" : "good";
  };

  const look = async () => {
    try {
      const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      show(await answer.json(), performance.now());
    } catch (error) {
      say("no answer from the server", true);
    }
    clearTimeout(timer);
    if (!paused) timer = setTimeout(look, PERIOD);
  };

  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    $("pause").textContent = paused ? "Go on" : "Pause";
    clearTimeout(timer);
    if (paused) say("paused", false); else look();
  });
  look();
})();
