// Pure: no clock, no DOM. How things are written for people. Times are UTC, always.

import { compare, fractionDigits, pad, percentChange, subtract } from "./decimal.ts";
import type { Bar, Completeness } from "./protocol.ts";

/** "2024-08-09 00:15:00", UTC; milliseconds only where there are some. */
export function utc(ms: number): string {
  const iso = new Date(ms).toISOString();
  const fraction = iso.slice(19, 23) === ".000" ? "" : iso.slice(19, 23);
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction}`;
}

/** "00:15:00". */
export function utcClock(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}

/** What the crosshair's time label says: seconds only where bars are shorter than a minute. */
export function crosshairTime(ms: number, spanMs: number): string {
  const iso = new Date(ms).toISOString();
  const day = iso.slice(0, 10);
  if (spanMs >= DAY_MS) return day;
  return `${day} ${iso.slice(11, spanMs < 60_000 ? 19 : 16)}`;
}

/** Length of "1s", "5m", "1h", "1d" in milliseconds; null when it is not an interval. */
export function intervalMs(interval: string): number | null {
  const match = /^([1-9]\d{0,8})(s|m|h|d)$/.exec(interval);
  const unit = match?.[2];
  if (match === null || unit === undefined) return null;
  return Number(match[1]) * (UNIT_MS[unit] ?? 0);
}

/** Digits behind the point that the price axis needs to show the bars' prices whole. */
export function priceDigits(bars: readonly Bar[]): number {
  let digits = 0;
  for (const bar of bars) {
    for (const price of [bar.open, bar.high, bar.low, bar.close]) digits = Math.max(digits, fractionDigits(price));
  }
  return Math.min(digits, MAX_AXIS_DIGITS);
}

/** A drawn price, for the axis only; people read exact values from the strings. */
export function axisPrice(value: number, digits: number): string {
  return value.toFixed(digits);
}

/** A drawn volume, for the axis only: "1.2K", "35M", "0.004". */
export function axisVolume(value: number): string {
  const size = Math.abs(value);
  for (const [limit, suffix] of STEPS) {
    if (size >= limit) return `${trimZeros((value / limit).toFixed(size >= limit * 100 ? 0 : 1))}${suffix}`;
  }
  if (size === 0) return "0";
  return trimZeros(size >= 1 ? value.toFixed(1) : value.toFixed(Math.min(MAX_AXIS_DIGITS, 1 - Math.floor(Math.log10(size)))));
}

/** Which way a price went. */
export function direction(from: string, to: string): "up" | "down" | "flat" {
  const order = compare(to, from);
  return order > 0 ? "up" : order < 0 ? "down" : "flat";
}

/** "+12.5 (+0.20%)", exact, padded to `digits`; "0 (0.00%)" when nothing changed. */
export function change(from: string, to: string, digits = 0): string {
  const difference = pad(subtract(to, from), digits);
  const signed = compare(to, from) > 0 ? `+${difference}` : difference;
  const percent = percentChange(from, to);
  return percent === null ? signed : `${signed} (${percent}%)`;
}

/** One line a completeness: what the person may rely on. */
export function explain(completeness: Completeness): string {
  return EXPLAINED[completeness];
}

/** A row of the readout. */
export interface Row {
  readonly label: string;
  readonly value: string;
}

/** Every field of a bar, the amounts exactly as the server sent them. */
export function rows(bar: Bar): readonly Row[] {
  const id = (value: number | null): string => (value === null ? "none" : String(value));
  return [
    { label: "Start", value: utc(bar.start) },
    { label: "End", value: utc(bar.end) },
    { label: "Open", value: bar.open },
    { label: "High", value: bar.high },
    { label: "Low", value: bar.low },
    { label: "Close", value: bar.close },
    { label: "Change", value: change(bar.open, bar.close) },
    { label: "Volume", value: bar.volume },
    { label: "Quote volume", value: bar.quote_volume },
    { label: "Taker buy volume", value: bar.taker_buy_volume },
    { label: "Taker buy quote", value: bar.taker_buy_quote_volume },
    { label: "Trades", value: String(bar.count) },
    { label: "First trade id", value: id(bar.first_id) },
    { label: "Last trade id", value: id(bar.last_id) },
    { label: "State", value: bar.closed ? "closed" : "open" },
    { label: "Revision", value: String(bar.rev) },
    { label: "Completeness", value: bar.completeness },
    { label: "Close number", value: String(bar.close_no) },
    { label: "Epoch", value: String(bar.epoch) },
    { label: "Sequence", value: String(bar.seq) },
    { label: "Event time", value: utc(bar.event_time) },
    { label: "Published", value: utc(bar.publish_time) },
  ];
}

/** The page's title. */
export function title(symbol: string | null, interval: string | null, last: Bar | undefined): string {
  if (symbol === null || interval === null) return "MarketFeed";
  const subject = `${symbol} ${interval} · MarketFeed`;
  return last === undefined ? subject : `${last.close} ${subject}`;
}

const DAY_MS = 86_400_000;

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS };

// A float has some 15 digits to give; more of them on the axis would be noise.
const MAX_AXIS_DIGITS = 12;

const STEPS = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "K"],
] as const;

const EXPLAINED: Readonly<Record<Completeness, string>> = {
  complete: "Every trade of the bar is accounted for.",
  quiet: "No trades, and the feed was alive: flat at the previous close.",
  repaired: "Missing trades were fetched from the exchange afterwards.",
  gap: "Trades are known to be missing from this bar.",
  unknown: "The feed was down in at least a part of this bar: what is missing is not known.",
};

function trimZeros(value: string): string {
  return value.includes(".") ? value.replace(/\.?0+$/, "") : value;
}
