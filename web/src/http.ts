// The one file that makes HTTP requests: the list of topics, and bars of the past.

import type { Fetch, Fetched } from "./feed.ts";
import { PAGE_BARS } from "./feed.ts";
import { parseHttpError, parseKlines, parseTopics, type Bar, type Listing } from "./protocol.ts";
import type { Selection } from "./selection.ts";

/** A request that failed, in words for the person. */
export class RequestError extends Error {}

const TIMEOUT_MS = 15_000;
// What only helps to choose what to open is not worth waiting longer for.
const COUNT_TIMEOUT_MS = 2_000;
// The most that the server gives in one answer, and the most answers worth reading for one fetch:
// together a little more than a series holds.
const LIMIT_MAX = 5_000;
const PAGES_MAX = 5;

/** `GET /api/v1/topics`. */
export async function fetchTopics(): Promise<readonly Listing[]> {
  const listings = parseTopics(await get("topics", {}));
  if (listings === null) throw new RequestError("The server's list of topics cannot be read.");
  return listings;
}

/** `GET /api/v1/klines`, all its pages. */
export async function fetchBars(selection: Selection, fetch: Fetch): Promise<Fetched> {
  const parameters: Record<string, string> = {
    symbol: selection.symbol,
    interval: selection.interval,
    venue: selection.venue,
    limit: String(fetch.start === null ? PAGE_BARS : LIMIT_MAX),
  };
  if (fetch.start !== null) parameters["start"] = String(fetch.start);
  if (fetch.end !== null) parameters["end"] = String(fetch.end);
  const bars: Bar[] = [];
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const page = parseKlines(await get("klines", parameters));
    if (page === null) throw new RequestError("The server's bars cannot be read.");
    bars.push(...page.bars);
    if (fetch.start === null || page.next === null) return { bars, complete: true };
    parameters["cursor"] = page.next;
  }
  return { bars, complete: false };
}

/** How many closed bars a topic has, counted up to `max`; none when history does not say. */
export async function countBars({ venue, symbol, interval }: Selection, max: number): Promise<number> {
  try {
    const body = await get("klines", { symbol, interval, venue, limit: String(max) }, COUNT_TIMEOUT_MS);
    return parseKlines(body)?.bars.length ?? 0;
  } catch {
    // The feed asks for the same bars next, and tells the person what is wrong.
    return 0;
  }
}

async function get(path: string, parameters: Record<string, string>, timeoutMs = TIMEOUT_MS): Promise<string> {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  url.search = new URLSearchParams(parameters).toString();
  let response: Response;
  let body: string;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), cache: "no-store" });
    body = await response.text();
  } catch (error) {
    const slow = error instanceof DOMException && error.name === "TimeoutError";
    throw new RequestError(slow ? "The server did not answer in time." : "The server cannot be reached.");
  }
  if (response.ok) return body;
  throw new RequestError(parseHttpError(body)?.message ?? `The server answered with status ${response.status}.`);
}
