// Pure: no socket, clock or DOM. What the server says, checked field by field once, here.
//
// Nothing in this file throws on input: a part that does not parse is counted by the caller
// and left out, so that one bad object never costs the good ones in the same frame.

/** How much of a bar's trades is accounted for (the server's own words). */
export type Completeness = "complete" | "quiet" | "repaired" | "gap" | "unknown";

export const COMPLETENESS: readonly Completeness[] = ["complete", "quiet", "repaired", "gap", "unknown"];

/** One candlestick. Amounts stay the decimal strings of the wire; times are Unix milliseconds, UTC. */
export interface Bar {
  readonly topic: string;
  readonly venue: string;
  readonly symbol: string;
  readonly interval: string;
  readonly start: number;
  readonly end: number;
  readonly open: string;
  readonly high: string;
  readonly low: string;
  readonly close: string;
  readonly volume: string;
  readonly quote_volume: string;
  readonly taker_buy_volume: string;
  readonly taker_buy_quote_volume: string;
  readonly count: number;
  /** Null where there was no trade. */
  readonly first_id: number | null;
  readonly last_id: number | null;
  readonly closed: boolean;
  readonly rev: number;
  readonly completeness: Completeness;
  /** Of a closed bar: its own number. Of an open bar: the newest number committed on the topic. */
  readonly close_no: number;
  readonly epoch: number;
  readonly seq: number;
  readonly event_time: number;
  readonly publish_time: number;
}

/** What can arrive on the socket. */
export type ServerMessage =
  | { readonly op: "bar"; readonly bar: Bar }
  | { readonly op: "ok"; readonly id: number | null; readonly topics: readonly string[] }
  | { readonly op: "error"; readonly id: number | null; readonly code: string; readonly message: string; readonly topic: string | null }
  | { readonly op: "missed"; readonly topic: string; readonly from: number; readonly to: number }
  | { readonly op: "pong"; readonly id: number | null };

/** The objects of one frame, and how many parts of it were not understood. */
export interface Frame {
  readonly messages: readonly ServerMessage[];
  readonly bad: number;
}

/** One entry of `GET /api/v1/topics`. */
export interface Listing {
  readonly topic: string;
  readonly venue: string;
  readonly symbol: string;
  readonly interval: string;
}

/** One page of `GET /api/v1/klines`, oldest first. */
export interface KlinesPage {
  readonly bars: readonly Bar[];
  readonly next: string | null;
  readonly bad: number;
}

/** Splits a text frame at its newlines and parses each object. */
export function parseFrame(text: string): Frame {
  const messages: ServerMessage[] = [];
  let bad = 0;
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const message = parseMessage(parseJson(line));
    if (message === null) bad += 1;
    else messages.push(message);
  }
  return { messages, bad };
}

/** One server object, or null when it is not one that this page knows. */
export function parseMessage(value: unknown): ServerMessage | null {
  if (!isRecord(value)) return null;
  const id = isWhole(value["id"]) ? value["id"] : null;
  switch (value["op"]) {
    case "bar": {
      const bar = parseBar(value);
      return bar === null ? null : { op: "bar", bar };
    }
    case "ok":
      return { op: "ok", id, topics: strings(value["topics"]) };
    case "error":
      return {
        op: "error",
        id,
        code: text(value["code"]) ?? "unknown",
        message: text(value["message"]) ?? "The server reported an error.",
        topic: text(value["topic"]),
      };
    case "missed": {
      const topic = text(value["topic"]);
      const { from, to } = value;
      return topic !== null && isWhole(from) && isWhole(to) ? { op: "missed", topic, from, to } : null;
    }
    case "pong":
      return { op: "pong", id };
    default:
      return null;
  }
}

/** A bar with every field of the right kind, or null. Unknown fields are ignored (newer servers). */
export function parseBar(value: unknown): Bar | null {
  if (!isRecord(value)) return null;
  for (const key of TEXTS) if (typeof value[key] !== "string") return null;
  for (const key of AMOUNTS) if (!isAmount(value[key])) return null;
  for (const key of WHOLES) if (!isWhole(value[key])) return null;
  for (const key of IDS) if (value[key] !== null && !isWhole(value[key])) return null;
  if (typeof value["closed"] !== "boolean" || !isCompleteness(value["completeness"])) return null;
  const bar = value as unknown as Bar;
  for (const time of [bar.start, bar.end, bar.event_time, bar.publish_time]) if (Math.abs(time) > MAX_TIME_MS) return null;
  return bar.end > bar.start ? bar : null;
}

/** The body of `GET /api/v1/klines`, or null when it is not one. */
export function parseKlines(body: string): KlinesPage | null {
  const value = parseJson(body);
  if (!isRecord(value) || !Array.isArray(value["bars"])) return null;
  const parsed = value["bars"].map(parseBar);
  const bars = parsed.filter((bar): bar is Bar => bar !== null);
  const next = text(value["next"]);
  return { bars, next: next === "" ? null : next, bad: parsed.length - bars.length };
}

/** The body of `GET /api/v1/topics`, or null when it is not one. */
export function parseTopics(body: string): readonly Listing[] | null {
  const value = parseJson(body);
  if (!isRecord(value) || !Array.isArray(value["topics"])) return null;
  const listings: Listing[] = [];
  for (const entry of value["topics"]) {
    if (!isRecord(entry)) continue;
    const topic = text(entry["topic"]);
    const venue = text(entry["venue"]);
    const symbol = text(entry["symbol"]);
    const interval = text(entry["interval"]);
    if (topic !== null && venue !== null && symbol !== null && interval !== null) {
      listings.push({ topic, venue, symbol, interval });
    }
  }
  return listings;
}

/** The message of `{"error":{"code","message"}}`, or null when the body is something else. */
export function parseHttpError(body: string): { readonly code: string; readonly message: string } | null {
  const value = parseJson(body);
  if (!isRecord(value) || !isRecord(value["error"])) return null;
  const code = text(value["error"]["code"]);
  const message = text(value["error"]["message"]);
  return code === null && message === null ? null : { code: code ?? "unknown", message: message ?? code ?? "" };
}

/** The long topic, valid whichever venue is listed first. */
export function longTopic(venue: string, interval: string, symbol: string): string {
  return `kline:${venue}:${interval}:${symbol}`;
}

/** `after` makes the server replay the closes behind that close_no. */
export function subscribe(id: number, topic: string, after: number | null): string {
  const message = { op: "subscribe", topics: [topic], id };
  return JSON.stringify(after === null ? message : { ...message, after: { [topic]: after } });
}

export function unsubscribe(id: number, topic: string): string {
  return JSON.stringify({ op: "unsubscribe", topics: [topic], id });
}

export function ping(id: number): string {
  return JSON.stringify({ op: "ping", id });
}

const TEXTS = ["topic", "venue", "symbol", "interval"] as const;
const AMOUNTS = [
  "open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume",
] as const;
const WHOLES = ["start", "end", "count", "rev", "close_no", "epoch", "seq", "event_time", "publish_time"] as const;
const IDS = ["first_id", "last_id"] as const;

// The last time that a Date can hold; beyond it formatting would throw.
const MAX_TIME_MS = 8.64e15;

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

function isAmount(value: unknown): value is string {
  return typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value);
}

function isCompleteness(value: unknown): value is Completeness {
  return typeof value === "string" && (COMPLETENESS as readonly string[]).includes(value);
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}
