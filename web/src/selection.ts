// Pure. What is shown: one instrument and one interval, kept in the page's address.

import { intervalMs } from "./format.ts";
import type { Listing } from "./protocol.ts";

export interface Selection {
  readonly venue: string;
  readonly symbol: string;
  readonly interval: string;
}

/** What the address asks for; each part may be absent. */
export interface Wish {
  readonly venue: string | null;
  readonly symbol: string | null;
  readonly interval: string | null;
}

/** What was found for a wish, and what to tell the person when it is not what was asked. */
export interface Choice {
  readonly selection: Selection;
  /** The intervals of the instrument, short to long, when none was asked for: `opening` chooses. */
  readonly intervals: readonly string[] | null;
  readonly notice: string | null;
}

/** An instrument with the intervals that it is carried in. */
export interface Instrument {
  readonly venue: string;
  readonly symbol: string;
  readonly intervals: readonly string[];
}

/** Reads `?symbol=&venue=&interval=`. */
export function parseQuery(search: string): Wish {
  const query = new URLSearchParams(search);
  const value = (name: string): string | null => {
    const given = query.get(name)?.trim() ?? "";
    return given === "" ? null : given;
  };
  return { venue: value("venue"), symbol: value("symbol")?.toUpperCase() ?? null, interval: value("interval") };
}

export function toQuery(selection: Selection): string {
  const { symbol, venue, interval } = selection;
  return `?${new URLSearchParams({ symbol, venue, interval }).toString()}`;
}

/** Instruments in listing order, intervals from short to long. */
export function instruments(listings: readonly Listing[]): readonly Instrument[] {
  const found = new Map<string, { venue: string; symbol: string; intervals: string[] }>();
  for (const { venue, symbol, interval } of listings) {
    const key = `${venue} ${symbol}`;
    const entry = found.get(key) ?? { venue, symbol, intervals: [] };
    if (!entry.intervals.includes(interval)) entry.intervals.push(interval);
    found.set(key, entry);
  }
  for (const entry of found.values()) {
    entry.intervals.sort((a, b) => (intervalMs(a) ?? Infinity) - (intervalMs(b) ?? Infinity));
  }
  return [...found.values()];
}

/** The closest thing to the wish that is carried; null when nothing is. */
export function choose(all: readonly Instrument[], wish: Wish): Choice | null {
  const fits = (one: Instrument): boolean =>
    (wish.symbol === null || one.symbol === wish.symbol) && (wish.venue === null || one.venue === wish.venue);
  const exact = all.find(fits);
  const instrument = exact ?? all.find((one) => one.symbol === wish.symbol) ?? all[0];
  if (instrument === undefined) return null;
  const interval = closestInterval(instrument, wish.interval);
  if (interval === undefined) return null;
  const asked = [wish.symbol, wish.venue].filter((part) => part !== null).join(" on ");
  let notice: string | null = null;
  if (exact === undefined) notice = `${asked} is not carried here. This is ${instrument.symbol} on ${instrument.venue}.`;
  else if (wish.interval !== null && wish.interval !== interval) {
    notice = `${instrument.symbol} has no ${wish.interval} bars here. These are ${interval}.`;
  }
  const intervals = wish.interval === null ? instrument.intervals : null;
  return { selection: { venue: instrument.venue, symbol: instrument.symbol, interval }, intervals, notice };
}

/** So many closed bars make a chart; fewer are a few candles in an empty field. */
export const OPENING_BARS = 30;

/**
 * The interval to open on when none was asked for: the longest that has bars enough for a chart,
 * else the shortest, which will have them first. `counts` goes with `intervals`, short to long.
 */
export function opening(intervals: readonly string[], counts: readonly number[]): string | undefined {
  return intervals.filter((_, index) => (counts[index] ?? 0) >= OPENING_BARS).at(-1) ?? intervals[0];
}

/** The interval wished for, else one minute, else the shortest. */
export function closestInterval(instrument: Instrument, wished: string | null): string | undefined {
  for (const interval of [wished, "1m"]) {
    if (interval !== null && instrument.intervals.includes(interval)) return interval;
  }
  return instrument.intervals[0];
}
