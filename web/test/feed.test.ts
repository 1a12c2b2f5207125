import assert from "node:assert/strict";
import { test } from "node:test";
import { Feed, GRACE_MS, type Fetch } from "../src/feed.ts";
import type { Bar } from "../src/protocol.ts";
import { Series } from "../src/series.ts";
import { bar, closed, open } from "./bars.ts";

/** A feed and a clock; `committed` is what the server's history holds. */
class Bench {
  readonly feed = new Feed("binance-spot", "BTC-USDT", "1m");
  now = 0;
  committed: Bar[] = [];

  asked(): Fetch | null {
    return this.feed.pollFetch(this.now);
  }

  answer(fetch: Fetch | null): void {
    assert.ok(fetch, "a fetch was expected");
    const bars = this.committed.filter((one) => one.start >= (fetch.start ?? 0) && one.start < (fetch.end ?? Infinity));
    this.feed.handleFetched(fetch, { bars, complete: true }, this.now);
  }

  live(...bars: Bar[]): void {
    for (const one of bars) this.feed.handleBar(one, this.now);
  }

  /** Subscribed and loaded with the closes 1 to `to`. */
  loaded(to: number): this {
    this.committed = closed(1, to);
    this.feed.handleSubscribed(this.now);
    this.answer(this.asked());
    return this;
  }

  numbers(): number[] {
    return this.feed.series.bars().map((one) => one.start / 60_000);
  }
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);

test("what comes live before history is kept, and joins it without a seam", () => {
  const bench = new Bench();
  bench.feed.handleSubscribed(0);
  const fetch = bench.asked();
  assert.equal(fetch?.kind, "newest");
  bench.live(open(4, 1), bar(4), open(5, 1), bar(5), open(6, 1));
  assert.equal(bench.feed.ready, false);
  bench.committed = closed(1, 3);
  bench.answer(fetch);
  assert.equal(bench.feed.ready, true);
  assert.deepEqual(bench.numbers(), upTo(6));
  assert.equal(bench.feed.closeNo, 5);
  assert.equal(bench.feed.pollDelay(0), null);
});

test("history that ends before live begins is asked again, later", () => {
  const bench = new Bench();
  bench.feed.handleSubscribed(0);
  const fetch = bench.asked();
  bench.live(bar(5), open(6, 1));
  bench.committed = closed(1, 3);
  bench.answer(fetch);
  assert.equal(bench.feed.closeNo, 3);
  const wait = bench.feed.pollDelay(0);
  assert.ok(wait !== null && wait > 0);
  bench.committed = closed(1, 5);
  bench.now = wait;
  bench.answer(bench.asked());
  assert.deepEqual(bench.numbers(), upTo(6));
  assert.equal(bench.feed.closeNo, 5);
});

test("an open bar that knows of a close not seen: fetched after a grace, called off if it comes", () => {
  const bench = new Bench().loaded(3);
  bench.live(open(5, 1));
  assert.equal(bench.asked(), null);
  assert.equal(bench.feed.pollDelay(0), GRACE_MS);
  bench.live(bar(4));
  assert.equal(bench.feed.pollDelay(0), null);
  bench.live(open(6, 1));
  bench.now = GRACE_MS;
  const fetch = bench.asked();
  assert.deepEqual([fetch?.kind, fetch?.start], ["since", bar(4).start]);
  bench.committed = closed(1, 5);
  bench.answer(fetch);
  assert.deepEqual(bench.numbers(), upTo(6));
  assert.equal(bench.feed.closeNo, 5);
});

test("a hole between closes, and `missed`, are fetched at once", () => {
  const bench = new Bench().loaded(3);
  bench.live(bar(6), bar(7));
  bench.committed = closed(1, 5);
  bench.answer(bench.asked());
  assert.deepEqual([bench.numbers(), bench.feed.closeNo], [upTo(7), 7]);
  bench.feed.handleMissed(8, 9, 0);
  bench.committed = closed(1, 9);
  bench.answer(bench.asked());
  assert.deepEqual([bench.numbers(), bench.feed.closeNo], [upTo(9), 9]);
});

test("a missed amendment of an old bar is found by reading all that is held", () => {
  const bench = new Bench().loaded(5);
  bench.feed.handleMissed(6, 7, 0);
  bench.committed = [...closed(1, 5), bar(6, { close_no: 7 })];
  bench.committed[1] = bar(2, { rev: 1, close_no: 6, close: "12", completeness: "repaired" });
  bench.answer(bench.asked());
  const second = bench.asked();
  assert.deepEqual([second?.kind, second?.start], ["window", bar(1).start]);
  bench.answer(second);
  assert.equal(bench.feed.series.get(bar(2).start)?.close, "12");
  assert.equal(bench.feed.closeNo, 7);
});

test("an amendment older than all that is held does not make the page ask for ever", () => {
  const bench = new Bench();
  bench.committed = closed(3, 5);
  bench.feed.handleSubscribed(0);
  bench.answer(bench.asked());
  bench.feed.handleMissed(6, 6, 0);
  let asked = 0;
  for (; asked < 20; asked += 1) {
    bench.now += bench.feed.pollDelay(bench.now) ?? 0;
    const fetch = bench.asked();
    if (fetch === null) break;
    bench.answer(fetch);
  }
  assert.ok(asked > 1 && asked < 8, `${asked} fetches`);
  assert.equal(bench.feed.closeNo, 6);
});

test("after a reconnect: the closes behind the last one held come on the socket, and nothing is fetched", () => {
  const bench = new Bench().loaded(5);
  bench.live(open(6, 1));
  bench.feed.handleDisconnected();
  assert.equal(bench.asked(), null);
  assert.equal(bench.feed.closeNo, 5);
  bench.feed.handleSubscribed(10);
  bench.now = 10;
  assert.deepEqual([bench.asked(), bench.feed.pollDelay(10)], [null, null]);
  bench.live(bar(6), bar(7), bar(2, { rev: 1, close_no: 8, close: "12" }), bar(8, { close_no: 9 }), open(9, 1, { close_no: 9 }));
  assert.deepEqual([bench.numbers(), bench.feed.closeNo], [upTo(9), 9]);
  assert.equal(bench.feed.series.get(bar(2).start)?.close, "12");
  bench.now = 10 + 10 * GRACE_MS;
  assert.equal(bench.asked(), null);
});

test("after a reconnect: what the server says was missed is fetched from the last closed bar on", () => {
  const bench = new Bench().loaded(5);
  bench.feed.handleDisconnected();
  bench.feed.handleSubscribed(10);
  bench.now = 10;
  bench.feed.handleMissed(6, 7, 10);
  bench.live(bar(8), bar(9));
  const fetch = bench.asked();
  assert.deepEqual([fetch?.kind, fetch?.start], ["since", bar(5).start]);
  assert.equal(bench.feed.closeNo, 5);
  bench.committed = closed(1, 9);
  bench.answer(fetch);
  assert.deepEqual([bench.numbers(), bench.feed.closeNo], [upTo(9), 9]);
});

test("after a reconnect: a close that does not come is fetched after the grace", () => {
  const bench = new Bench().loaded(5);
  bench.feed.handleDisconnected();
  bench.feed.handleSubscribed(0);
  bench.live(open(8, 1));
  assert.equal(bench.feed.pollDelay(0), GRACE_MS);
  bench.now = GRACE_MS;
  bench.committed = closed(1, 7);
  bench.answer(bench.asked());
  assert.deepEqual([bench.numbers(), bench.feed.closeNo], [upTo(8), 7]);
});

test("a fetch that failed is made again when the person asks", () => {
  const bench = new Bench().loaded(5);
  bench.live(bar(8));
  const fetch = bench.asked();
  assert.ok(fetch);
  bench.feed.handleFetchFailed(fetch, "busy", 0, 0.5);
  bench.feed.handleSubscribed(0);
  assert.equal(bench.asked()?.kind, "since");
});

test("a server that counts anew replaces what is held", () => {
  for (const first of [open(21, 1, { epoch: 2, close_no: 1 }), bar(21, { epoch: 2, close_no: 2 })]) {
    const bench = new Bench().loaded(5);
    bench.live(first);
    assert.equal(bench.feed.ready, false);
    // The subscription begins anew too, once, and without a number of the old count.
    assert.deepEqual([bench.feed.closeNo, bench.feed.takeRenewed(), bench.feed.takeRenewed()], [null, true, false]);
    bench.committed = [bar(20, { epoch: 2, close_no: 1 })];
    bench.answer(bench.asked());
    assert.deepEqual(bench.numbers(), [20, 21]);
  }
  // Its numbers have come as far as those held: only history tells.
  const bench = new Bench().loaded(5);
  bench.feed.handleDisconnected();
  bench.feed.handleSubscribed(1);
  bench.now = 1;
  bench.committed = [bar(40, { close_no: 9, epoch: 2 })];
  bench.live(open(41, 1, { close_no: 9, epoch: 2 }));
  bench.answer(bench.asked());
  bench.answer(bench.asked());
  assert.deepEqual(bench.numbers(), [40]);
});

test("closes of a new count replace what is held whatever their epoch, and one that comes twice does not", () => {
  for (const epoch of [2, 3, 4]) {
    const bench = new Bench();
    bench.committed = closed(1, 5).map((one) => ({ ...one, epoch: 3 }));
    bench.feed.handleSubscribed(0);
    bench.answer(bench.asked());
    // The bus was away: what is held comes twice, an amendment among it.
    bench.live(...bench.committed.slice(3), bar(2, { rev: 1, close_no: 6, epoch: 3 }), bar(2, { rev: 1, close_no: 6, epoch: 3 }));
    assert.deepEqual([bench.feed.ready, bench.feed.closeNo], [true, 6]);
    // An old owner's open bar says nothing.
    bench.live(open(5, 1, { epoch: 2 }));
    assert.equal(bench.feed.ready, true);
    bench.live(bar(21, { epoch, close_no: 1 }), bar(22, { epoch, close_no: 2 }));
    assert.deepEqual([bench.feed.ready, bench.feed.takeRenewed()], [false, true]);
    bench.committed = [bar(21, { epoch, close_no: 1 }), bar(22, { epoch, close_no: 2 })];
    bench.answer(bench.asked());
    assert.deepEqual([bench.numbers(), bench.feed.closeNo], [[21, 22], 2]);
  }
  // Its first closes have aged out: the first that comes has a number beyond those held.
  const bench = new Bench().loaded(5);
  bench.feed.handleMissed(1, 8, 0);
  assert.equal(bench.feed.takeRenewed(), true);
  bench.live(bar(29, { close_no: 9 }));
  bench.committed = [bar(28, { close_no: 8 }), bar(29, { close_no: 9 })];
  bench.answer(bench.asked());
  assert.deepEqual([bench.numbers(), bench.feed.closeNo], [[28, 29], 9]);
});

test("a new owner's open bar is no new count", () => {
  const bench = new Bench().loaded(5);
  bench.live(open(6, 1, { epoch: 2 }));
  assert.equal(bench.feed.ready, true);
  assert.equal(bench.feed.takeRenewed(), false);
  bench.live(open(6, 99, { epoch: 1, close: "10.5" }));
  assert.equal(bench.feed.series.last()?.epoch, 2);
});

test("a fetch that fails is told, and tried again with a growing wait", () => {
  const bench = new Bench();
  bench.feed.handleSubscribed(0);
  const waits = [0, 1, 2].map(() => {
    const fetch = bench.asked();
    assert.ok(fetch);
    bench.feed.handleFetchFailed(fetch, "busy", bench.now, 0.999999);
    const wait = bench.feed.pollDelay(bench.now) ?? 0;
    bench.now += wait;
    return wait;
  });
  assert.deepEqual(waits, [500, 1_000, 2_000]);
  assert.equal(bench.feed.error, "busy");
  bench.answer(bench.asked());
  assert.equal(bench.feed.error, null);
});

test("older bars are asked for once, and no more when there are none", () => {
  const bench = new Bench().loaded(3);
  bench.committed = closed(1, 3).map((one) => ({ ...one }));
  bench.feed.handleOldestVisible();
  const fetch = bench.asked();
  assert.deepEqual([fetch?.kind, fetch?.end], ["older", bar(1).start]);
  bench.answer(fetch);
  bench.feed.handleOldestVisible();
  assert.equal(bench.asked(), null);
});

test("bars of another topic, and answers to questions no longer asked, change nothing", () => {
  const bench = new Bench().loaded(3);
  bench.live(bar(4, { symbol: "ETH-USDT" }), bar(4, { venue: "coinbase" }), bar(4, { interval: "1h" }));
  bench.feed.handleFetched({ kind: "newest", start: null, end: null, target: 0 }, { bars: [bar(9)], complete: true }, 0);
  assert.deepEqual(bench.numbers(), upTo(3));
});

test("a series does not depend on the order of what comes", () => {
  const pieces = [bar(1), open(2, 1), open(2, 2, { close: "10.1" }), bar(2), bar(2, { rev: 1, close: "10.2", close_no: 4 }), bar(3)];
  const expected = ["11", "10.2", "11"];
  for (let seed = 0; seed < 200; seed += 1) {
    const order = pieces.map((piece, index) => ({ piece, key: Math.sin(seed * 97 + index * 13) })).sort((a, b) => a.key - b.key);
    const series = new Series();
    for (const { piece } of order) {
      series.merge(piece);
      series.merge(piece);
    }
    assert.deepEqual(series.bars().map((one) => one.close), expected);
    assert.equal(series.counts.complete, 3);
  }
});

test("a series is bounded", () => {
  const series = new Series(100);
  for (let n = 0; n < 1_000; n += 1) {
    series.merge(bar(n));
    series.trim();
    assert.ok(series.length <= 100);
  }
  assert.equal(series.last()?.start, bar(999).start);
  assert.equal(series.counts.complete, series.length);
});
