// The server of the made-up market: the HTTP and WebSocket contract of MarketFeed, and faults that a
// real server would show only on a bad day.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";
import { Market } from "./market.mjs";

const DIST = join(dirname(fileURLToPath(import.meta.url)), "..", "dist");
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8" };

/**
 * Starts it. The result's `faults` may be changed at any time:
 * `swallowCloses`: closes to keep from the socket; `klinesStatus`: status to refuse klines with;
 * `noTrades`: the market is not heard, as if the exchange could not be reached.
 */
export async function startServer({ port = 0, seed, tickMs = 250 } = {}) {
  const market = new Market({ now: Date.now(), seed });
  const faults = { swallowCloses: 0, klinesStatus: 0, noTrades: false };
  const clients = new Map();
  const http = createServer((request, response) => void answer(market, faults, request, response));
  const sockets = new WebSocketServer({ server: http, path: "/ws" });

  const send = (bar) => {
    const text = JSON.stringify(bar);
    for (const [socket, topics] of clients) if (topics.has(market.line(bar.topic))) socket.send(text);
  };
  sockets.on("connection", (socket) => {
    clients.set(socket, new Set());
    socket.on("close", () => clients.delete(socket));
    socket.on("message", (data) => handle(market, faults, socket, clients.get(socket), data.toString()));
  });
  const timer = setInterval(() => {
    if (faults.noTrades) return;
    for (const bar of market.advance(Date.now())) {
      if (bar.closed && faults.swallowCloses > 0) faults.swallowCloses -= 1;
      else send(bar);
    }
  }, tickMs);

  await new Promise((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, "127.0.0.1", resolve);
  });
  return {
    market, faults, send,
    port: http.address().port,
    url: `http://127.0.0.1:${http.address().port}/`,
    sendText: (text) => clients.forEach((_, socket) => socket.send(text)),
    dropClients: () => clients.forEach((_, socket) => socket.terminate()),
    stop: () => {
      clearInterval(timer);
      clients.forEach((_, socket) => socket.terminate());
      http.closeAllConnections();
      return new Promise((resolve) => http.close(resolve));
    },
  };
}

function handle(market, faults, socket, topics, text) {
  const { op, id, topics: named = [], after = {} } = JSON.parse(text);
  if (op === "ping") socket.send(JSON.stringify({ op: "pong", id }));
  if (op !== "subscribe" && op !== "unsubscribe") return;
  for (const topic of named) {
    const line = market.line(topic);
    if (line === undefined) {
      socket.send(JSON.stringify({ op: "error", id, code: "unknown_topic", message: `"${topic}" is not carried here.`, topic }));
      return;
    }
    if (op === "unsubscribe") {
      topics.delete(line);
      continue;
    }
    topics.add(line);
    const objects = line.bars.filter((bar) => bar.close_no > (after[topic] ?? Infinity));
    if (!faults.noTrades) objects.push(line.encode(Date.now()));
    socket.send([{ op: "ok", id, topics: named }, ...objects].map((one) => JSON.stringify(one)).join("\n"));
  }
}

async function answer(market, faults, request, response) {
  const url = new URL(request.url, "http://localhost");
  const json = (status, value) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  if (url.pathname === "/api/v1/topics") return json(200, { topics: market.topics() });
  if (url.pathname === "/api/v1/klines") {
    if (faults.klinesStatus !== 0) return json(faults.klinesStatus, { error: { code: "unavailable", message: "History is being read back." } });
    return json(200, klines(market, url.searchParams));
  }
  const path = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
  try {
    const body = await readFile(join(DIST, path));
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}

function klines(market, query) {
  const line = market.line(`kline:${query.get("venue")}:${query.get("interval")}:${query.get("symbol")}`);
  if (line === undefined) return { bars: [], next: null };
  const limit = Math.min(5_000, Number(query.get("limit") || 500));
  const end = Number(query.get("end") || Infinity);
  if (!query.get("start")) return { bars: line.bars.filter((bar) => bar.start < end).slice(-limit), next: null };
  const from = Number(query.get("cursor") || query.get("start"));
  const found = line.bars.filter((bar) => bar.start >= from && bar.start < end);
  const next = found[limit];
  return { bars: found.slice(0, limit), next: next === undefined ? null : String(next.start) };
}
