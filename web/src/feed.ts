// Pure: no socket, clock or timer. One topic's bars, kept whole over history, live and outages.
//
// Call order: `handle*` for what happened, then `pollFetch` until it gives null, then `pollDelay`
// for when to ask again, `takeRenewed` to subscribe anew, then `takeChanges` to draw. `now` is any monotonic clock in milliseconds.
//
// There is no seam because the topic is subscribed before history is asked for, everything is
// merged by (start, rev, closed), and `close_no` tells whether a close was missed between the two.
// After an outage the subscription says which closes are held, and the server sends those behind
// them; history is asked only for what it says was `missed`.

import { delayMs } from "./backoff.ts";
import { Closes } from "./closes.ts";
import type { Bar } from "./protocol.ts";
import { Series } from "./series.ts";

/** What to ask `GET /api/v1/klines` for. `newest`: no start. Times are Unix milliseconds. */
export interface Fetch {
  readonly kind: "newest" | "since" | "window" | "older";
  readonly start: number | null;
  readonly end: number | null;
  /** The newest close known to exist when the fetch began. */
  readonly target: number;
}

/** What a fetch brought: `complete` is false when more pages were left than are worth reading. */
export interface Fetched {
  readonly bars: readonly Bar[];
  readonly complete: boolean;
}

/** What to redraw: everything, or the bars that start at these times. */
export interface Changes {
  readonly all: boolean;
  readonly starts: readonly number[];
}

/** Bars of one first load and of one step into the past. */
export const PAGE_BARS = 1_000;

/** An open bar may overtake the close it tells of: wait this long before asking for that close. */
export const GRACE_MS = 1_000;

// Further tries when history lags behind the socket; the last one reads all that is held.
const RETRY_MS = [500, 1_500] as const;
const LAST_RETRY_MS = 3_000;

// Why a fetch is planned: `grace` is called off when the close comes by itself.
interface Due {
  readonly at: number;
  readonly kind: "newest" | "since" | "window";
  readonly grace: boolean;
}

/** The state machine of one selected topic. */
export class Feed {
  /** What the person should be told about history, if it failed last. */
  error: string | null = null;
  private held: Series;
  private closes = new Closes();
  private loaded = false;
  private connected = false;
  private inFlight: Fetch | null = null;
  private due: Due | null = null;
  // Fetches in a row that left closes missing, and that failed.
  private attempt = 0;
  private failures = 0;
  private wantOlder = false;
  private noOlder = false;
  private renewed = false;
  // The connection is a new one, and nobody but the owner that was known before has been heard on it.
  private resumed = false;
  private dirtyAll = false;
  private readonly dirty = new Set<number>();

  constructor(
    readonly venue: string,
    readonly symbol: string,
    readonly interval: string,
    private readonly max: number = 20_000,
  ) {
    this.held = new Series(max);
  }

  get series(): Series {
    return this.held;
  }

  /** False until history has been merged: what came live is held, but not yet to be shown. */
  get ready(): boolean {
    return this.loaded;
  }

  /** The newest close_no up to which nothing is missing: what `after` of a subscription carries. */
  get closeNo(): number | null {
    return this.loaded ? this.closes.seen : null;
  }

  /** The topic was subscribed, behind `closeNo`: what lies between comes on the socket, or is said to be missed. */
  handleSubscribed(now: number): void {
    this.connected = true;
    this.renewed = false;
    this.noOlder = false;
    this.attempt = 0;
    this.failures = 0;
    this.resumed = this.loaded;
    if (!this.loaded) this.plan("newest", now);
    // The last fetch failed: the person asks for another.
    else if (this.error !== null) this.plan("since", now);
  }

  handleDisconnected(): void {
    this.connected = false;
    this.due = null;
  }

  /** Whether a bar is of this topic. */
  isOwn(bar: Bar): boolean {
    return bar.venue === this.venue && bar.symbol === this.symbol && bar.interval === this.interval;
  }

  /** A live bar. Those of other topics (a subscription being left) are ignored. */
  handleBar(bar: Bar, now: number): void {
    if (!this.isOwn(bar)) return;
    if (this.loaded && this.closes.isReset(bar, this.held.lastClosed(Infinity)?.start ?? -Infinity)) this.startAnew(now);
    // Another owner went on with the topic, or with another history whose numbers have come as far: see which.
    if (this.loaded && this.resumed && this.closes.isNewOwner(bar)) {
      this.resumed = false;
      this.plan("since", now);
    }
    this.merge(bar);
    if (bar.closed) this.closes.handleClose(bar);
    else this.closes.handleOpen(bar);
    this.checkBehind(bar.closed ? 0 : GRACE_MS, now);
  }

  /** The server says that closes from `from` up to `to` will not come on the socket. */
  handleMissed(from: number, to: number, now: number): void {
    if (this.loaded && this.closes.isResetBy(from)) this.startAnew(now);
    this.closes.handleKnown(to);
    this.checkBehind(0, now);
  }

  handleFetched(fetch: Fetch, fetched: Fetched, now: number): void {
    if (this.inFlight !== fetch) return;
    this.inFlight = null;
    this.failures = 0;
    this.error = null;
    if (fetch.kind === "older") {
      this.mergeOlder(fetched.bars);
      return;
    }
    const anchored = fetch.start === null || (fetched.complete && fetched.bars.some((bar) => bar.start === fetch.start));
    if (!anchored) {
      // The server does not have the bar that we have, or too much lies between.
      this.startAnew(now);
      return;
    }
    for (const bar of fetched.bars) this.merge(bar);
    if (!this.loaded) {
      this.loaded = true;
      this.dirtyAll = true;
    }
    this.settle(fetch, fetched.bars, now);
  }

  /** `random` is in [0, 1). */
  handleFetchFailed(fetch: Fetch, message: string, now: number, random: number): void {
    if (this.inFlight !== fetch) return;
    this.inFlight = null;
    if (fetch.kind === "older") {
      // Not asked again on every scroll; a fresh connection may.
      this.noOlder = true;
      return;
    }
    this.error = message;
    this.plan(fetch.kind, now + delayMs(this.failures, random));
    this.failures += 1;
  }

  /** The person has scrolled to the oldest bar. */
  handleOldestVisible(): void {
    this.wantOlder = this.loaded && !this.noOlder && this.held.length > 0 && this.held.length + PAGE_BARS < this.max * 0.9;
  }

  /** True once after another history has begun: subscribe again, without `after`. */
  takeRenewed(): boolean {
    const { renewed } = this;
    this.renewed = false;
    return renewed;
  }

  /** The next request to make; one at a time. */
  pollFetch(now: number): Fetch | null {
    if (this.inFlight !== null || !this.connected) return null;
    if (this.due !== null && this.due.at <= now) {
      this.inFlight = this.build(this.due.kind);
      this.due = null;
    } else if (this.wantOlder) {
      this.wantOlder = false;
      this.inFlight = this.buildOlder();
    }
    return this.inFlight;
  }

  /** Milliseconds until `pollFetch` has something, null if nothing is planned. */
  pollDelay(now: number): number | null {
    return this.inFlight !== null || this.due === null ? null : Math.max(0, this.due.at - now);
  }

  /** What changed since the last call. */
  takeChanges(): Changes {
    const changes = { all: this.dirtyAll, starts: [...this.dirty].sort((a, b) => a - b) };
    this.dirtyAll = false;
    this.dirty.clear();
    return changes;
  }

  private merge(bar: Bar): void {
    const change = this.held.merge(bar);
    if (change === "ignored") return;
    if (change === "inserted" || this.held.trim()) this.dirtyAll = true;
    this.dirty.add(bar.start);
  }

  private mergeOlder(bars: readonly Bar[]): void {
    const before = this.held.length;
    for (const bar of bars) this.merge(bar);
    if (this.held.length === before) this.noOlder = true;
  }

  /** Notes what the fetch covered, and plans another if closes are still missing. */
  private settle(fetch: Fetch, bars: readonly Bar[], now: number): void {
    if (!this.closes.handleHistory(bars, fetch.kind !== "since")) {
      this.plan("window", now);
      return;
    }
    if (this.closes.behind && this.attempt > RETRY_MS.length) {
      // All that is held was read anew, late enough: what is missing is older than the first bar.
      this.closes.accept(fetch.target);
    }
    if (!this.closes.behind) {
      this.attempt = 0;
      return;
    }
    const wait = RETRY_MS[this.attempt] ?? LAST_RETRY_MS;
    this.attempt = Math.min(this.attempt + 1, RETRY_MS.length + 1);
    this.plan(this.attempt > RETRY_MS.length ? "window" : "since", now + wait);
  }

  private checkBehind(wait: number, now: number): void {
    // Before history is here, and while a fetch runs, `settle` decides.
    if (!this.loaded || this.inFlight !== null) return;
    if (!this.closes.behind) {
      if (this.due?.grace === true) this.due = null;
    } else if (this.due === null || (this.due.grace && wait === 0)) {
      this.plan("since", now + wait, wait > 0);
    }
  }

  private plan(kind: Due["kind"], at: number, grace = false): void {
    if (this.connected) this.due = { at, kind, grace };
  }

  private build(kind: Due["kind"]): Fetch {
    // Closes held beyond a hole are no place to start from: the hole lies before them.
    const from = kind === "since" ? this.held.lastClosed(this.closes.seen) : kind === "window" ? this.held.firstClosed() : undefined;
    const target = this.closes.known;
    return from === undefined ? { kind: "newest", start: null, end: null, target } : { kind, start: from.start, end: null, target };
  }

  private buildOlder(): Fetch | null {
    const first = this.held.first();
    if (first === undefined) return null;
    const start = Math.max(0, first.start - PAGE_BARS * (first.end - first.start));
    return { kind: "older", start, end: first.start, target: 0 };
  }

  /** Another history than the one held: begin again; the old stays drawn until the new is here. */
  private startAnew(now: number): void {
    this.held = new Series(this.max);
    this.closes = new Closes();
    this.loaded = false;
    this.noOlder = false;
    this.wantOlder = false;
    this.attempt = 0;
    this.inFlight = null;
    this.renewed = this.connected;
    this.plan("newest", now);
  }
}
