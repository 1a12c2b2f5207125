// Puts the parts together: one connection, one selected topic, one chart. Every event goes to the
// feed; then `drive` does what the feed asks for, and `draw` shows what changed, once a frame.

import { delayMs } from "./backoff.ts";
import { Chart } from "./chart.ts";
import { Connection, type ConnectionState } from "./connection.ts";
import { Feed, type Fetch } from "./feed.ts";
import { intervalMs, title, utcClock } from "./format.ts";
import { countBars, fetchBars, fetchTopics } from "./http.ts";
import { Pickers } from "./pickers.ts";
import { longTopic, subscribe, unsubscribe, type ServerMessage } from "./protocol.ts";
import { choose, instruments, opening, OPENING_BARS, parseQuery, toQuery, type Choice, type Instrument, type Selection } from "./selection.ts";
import { statusKind, type Heard, type StatusKind } from "./status.ts";
import { setUpTheme } from "./theme.ts";
import { element, View, type Overlay } from "./view.ts";

// An empty list of topics is a server that is still starting.
const TOPICS_AGAIN_MS = 1_500;

const NOTHING_HEARD: Heard = { subscribedAt: null, barAt: null, open: false, openBefore: false };

/** The page. */
export class App {
  private readonly view = new View();
  private readonly chart: Chart;
  private readonly pickers: Pickers;
  private readonly connection: Connection;
  private all: readonly Instrument[] = [];
  private selection: Selection | null = null;
  private feed: Feed | null = null;
  private pointed: number | null = null;
  private heard: Heard = NOTHING_HEARD;
  // The choice being made; another one takes its place.
  private choosing: Choice | null = null;
  private refused: string | null = null;
  private topicsError: string | null = null;
  private topicsFailures = 0;
  private topicsTimer: ReturnType<typeof setTimeout> | undefined;
  private feedTimer: ReturnType<typeof setTimeout> | undefined;
  private frame = 0;
  private firstBarMs: number | null = null;
  private badParts = 0;
  private fetches = 0;
  private connects = 0;

  constructor() {
    this.chart = new Chart(element("chart"), {
      onPoint: (bar) => {
        this.pointed = bar?.start ?? null;
        this.requestDraw();
      },
      onOldest: () => {
        this.feed?.handleOldestVisible();
        this.drive();
      },
    });
    this.pickers = new Pickers((selection) => this.select(selection, true));
    const url = new URL("ws", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.connection = new Connection(url.href, {
      onState: (state) => this.handleState(state),
      onMessages: (messages, bad) => this.handleMessages(messages, bad),
    });
    setUpTheme(element<HTMLButtonElement>("theme"), () => this.chart.applyPalette());
  }

  start(): void {
    this.connection.start();
    void this.loadTopics();
    element("retry").addEventListener("click", () => this.retry());
    globalThis.addEventListener("popstate", () => void this.selectFromAddress(false));
    setInterval(() => this.showStatus(), 250);
  }

  /** What tests and the curious may look at: copies, nothing that can be changed. */
  inspect(): Readonly<Record<string, unknown>> {
    const last = this.chart.bars.at(-1);
    return Object.freeze({
      state: this.statusKind(),
      topic: this.selection === null ? null : this.topic(this.selection),
      bars: this.chart.bars.length,
      lastBar: last === undefined ? null : { ...last },
      closeNo: this.feed?.closeNo ?? null,
      firstBarMs: this.firstBarMs,
      badParts: this.badParts,
      fetches: this.fetches,
      connects: this.connects,
    });
  }

  /** The bars drawn, oldest first, as copies. */
  bars(): readonly unknown[] {
    return this.chart.bars.map((bar) => ({ ...bar }));
  }

  private async loadTopics(): Promise<void> {
    clearTimeout(this.topicsTimer);
    let again: number | null = null;
    try {
      const found = instruments(await fetchTopics());
      this.topicsError = null;
      this.topicsFailures = 0;
      if (found.length === 0) again = TOPICS_AGAIN_MS;
      if (JSON.stringify(found) !== JSON.stringify(this.all)) this.all = found;
    } catch (error) {
      this.topicsError = messageOf(error);
      again = delayMs(this.topicsFailures, Math.random());
      this.topicsFailures += 1;
    }
    if (again !== null) this.topicsTimer = setTimeout(() => void this.loadTopics(), again);
    if (this.all.length > 0) {
      if (this.selection !== null) this.pickers.show(this.all, this.selection);
      else if (this.choosing === null) void this.selectFromAddress(true);
    }
    this.requestDraw();
  }

  private async selectFromAddress(replace: boolean): Promise<void> {
    const choice = choose(this.all, parseQuery(location.search));
    if (choice === null) return;
    this.choosing = choice;
    const selection = await withOpening(choice);
    if (this.choosing !== choice) return;
    if (replace) history.replaceState(null, "", toQuery(selection));
    this.select(selection, false);
    this.view.showNotice(choice.notice);
  }

  private select(selection: Selection, push: boolean): void {
    this.choosing = null;
    const left = this.selection;
    if (left !== null && this.topic(left) === this.topic(selection)) return;
    if (left !== null) this.connection.send(unsubscribe(this.connection.id(), this.topic(left)));
    if (push) {
      history.pushState(null, "", toQuery(selection));
      this.view.showNotice(null);
    }
    this.selection = selection;
    this.feed = new Feed(selection.venue, selection.symbol, selection.interval);
    this.pointed = null;
    this.chart.reset(intervalMs(selection.interval) ?? 60_000);
    this.pickers.show(this.all, selection);
    this.view.showSelection(selection);
    if (this.connection.current.kind === "live") this.subscribe();
    this.requestDraw();
  }

  private subscribe(): void {
    if (this.selection === null || this.feed === null) return;
    this.refused = null;
    this.heard = { ...this.heard, subscribedAt: performance.now(), barAt: null, open: false };
    // First the subscription, then history: what happens between the two is in both, not in neither.
    this.connection.send(subscribe(this.connection.id(), this.topic(this.selection), this.feed.closeNo));
    this.feed.handleSubscribed(performance.now());
    this.drive();
  }

  private topic(selection: Selection): string {
    return longTopic(selection.venue, selection.interval, selection.symbol);
  }

  private handleState(state: ConnectionState): void {
    if (state.kind === "live") {
      this.connects += 1;
      this.heard = NOTHING_HEARD;
      // Another server may have come back than the one that went.
      if (this.connects > 1 || this.topicsError !== null) void this.loadTopics();
      this.subscribe();
    } else if (state.kind === "waiting") {
      this.feed?.handleDisconnected();
    }
    this.showStatus();
    this.requestDraw();
  }

  private handleMessages(messages: readonly ServerMessage[], bad: number): void {
    this.badParts += bad;
    const now = performance.now();
    for (const message of messages) this.handleMessage(message, now);
    this.drive();
  }

  private handleMessage(message: ServerMessage, now: number): void {
    if (this.feed === null || this.selection === null) return;
    if (message.op === "bar") {
      if (this.feed.isOwn(message.bar)) {
        const open = this.heard.open || !message.bar.closed;
        this.heard = { ...this.heard, barAt: now, open, openBefore: this.heard.openBefore || open };
      }
      this.feed.handleBar(message.bar, now);
    } else if (message.op === "missed") {
      if (this.isSelected(message.topic)) this.feed.handleMissed(message.from, message.to, now);
    } else if (message.op === "error") {
      if (message.topic === null || this.isSelected(message.topic)) this.refused = message.message;
    }
  }

  /** The server may name a topic by its short name. */
  private isSelected(topic: string): boolean {
    if (this.selection === null) return false;
    const { symbol, interval } = this.selection;
    return topic === this.topic(this.selection) || topic === `kline:${interval}:${symbol}`;
  }

  private drive(): void {
    const feed = this.feed;
    if (feed === null) return;
    if (feed.takeRenewed() && this.selection !== null) {
      // The server's cursor may stand where the old history ended: leave, and come back without a claim.
      this.connection.send(unsubscribe(this.connection.id(), this.topic(this.selection)));
      this.connection.send(subscribe(this.connection.id(), this.topic(this.selection), null));
    }
    const fetch = feed.pollFetch(performance.now());
    if (fetch !== null) void this.run(feed, fetch);
    clearTimeout(this.feedTimer);
    const delay = feed.pollDelay(performance.now());
    if (delay !== null) this.feedTimer = setTimeout(() => this.drive(), delay);
    this.requestDraw();
  }

  private async run(feed: Feed, fetch: Fetch): Promise<void> {
    this.fetches += 1;
    try {
      const fetched = await fetchBars(feed, fetch);
      feed.handleFetched(fetch, fetched, performance.now());
    } catch (error) {
      feed.handleFetchFailed(fetch, messageOf(error), performance.now(), Math.random());
    }
    if (feed === this.feed) this.drive();
  }

  private retry(): void {
    if (this.connection.current.kind !== "live") this.connection.connectNow();
    else this.subscribe();
    if (this.topicsError !== null) void this.loadTopics();
  }

  private requestDraw(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.frame = 0;
    const feed = this.feed;
    if (feed?.ready === true) {
      this.chart.apply(feed.takeChanges(), feed.series);
      if (this.firstBarMs === null && this.chart.bars.length > 0) this.firstBarMs = Math.round(performance.now());
      this.view.showCounts(feed.series.counts);
    }
    // While a new history is on its way, what is drawn stays readable.
    const bars = this.chart.bars;
    const last = bars.at(-1);
    const pointed = this.pointed === null ? undefined : feed?.series.get(this.pointed);
    this.view.showQuote(last, bars.at(-2), this.chart.priceDigits);
    this.view.showBar(pointed ?? last, pointed !== undefined);
    this.view.showOverlay(this.overlay());
    const name = title(this.selection?.symbol ?? null, this.selection?.interval ?? null, last);
    if (document.title !== name) document.title = name;
  }

  private overlay(): Overlay | null {
    if (this.refused !== null) return { title: "The server refused this topic", text: this.refused, retry: true };
    if (this.chart.bars.length > 0) return null;
    if (this.topicsError !== null && this.all.length === 0) return { title: "No connection to the server", text: this.topicsError, retry: true };
    if (this.selection === null) {
      return this.topicsFailures === 0 && this.topicsTimer === undefined
        ? { title: "Loading…", text: "", retry: false }
        : { title: "No topics yet", text: "The server carries nothing so far. This page looks again by itself.", retry: false };
    }
    const error = this.feed?.error ?? null;
    if (error !== null) return { title: "Bars could not be loaded", text: error, retry: true };
    if (this.feed?.ready === true) {
      return { title: "No bars yet", text: `The first ${this.selection.interval} bar appears with the first trade. If none comes, the exchange may be unreachable: look at the server's log.`, retry: false };
    }
    return { title: "Loading bars…", text: "", retry: false };
  }

  private statusKind(): StatusKind {
    return statusKind(this.connection.current.kind, this.heard, performance.now());
  }

  private showStatus(): void {
    const kind = this.statusKind();
    const { current } = this.connection;
    if (current.kind === "waiting") {
      const seconds = Math.max(1, Math.ceil((current.until - performance.now()) / 1_000));
      this.view.showStatus(kind, "Reconnecting", `in ${seconds} s`);
    } else if (kind === "stale") {
      const last = this.chart.bars.at(-1);
      this.view.showStatus(kind, "Stale", last === undefined ? "" : `since ${utcClock(last.event_time)} UTC`);
    } else if (kind === "idle") {
      this.view.showStatus(kind, "Connected, waiting for trades", "");
    } else {
      const before = current.kind === "live" ? this.connects - 1 : this.connects;
      this.view.showStatus(kind, kind === "live" ? "Live" : before > 0 ? "Reconnecting" : "Connecting", "");
    }
  }
}

/** What was chosen; where no interval was asked for, with the one that has bars to show. */
async function withOpening({ selection, intervals }: Choice): Promise<Selection> {
  if (intervals === null) return selection;
  const counts = await Promise.all(intervals.map((interval) => countBars({ ...selection, interval }, OPENING_BARS)));
  return { ...selection, interval: opening(intervals, counts) ?? selection.interval };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
