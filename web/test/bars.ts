// Pure: bars for tests.

import type { Bar } from "../src/protocol.ts";

/** A closed bar of the minute `n`, to be changed by `change`. */
export function bar(n: number, change: Partial<Bar> = {}): Bar {
  const start = n * 60_000;
  return {
    topic: "kline:1m:BTC-USDT", venue: "binance-spot", symbol: "BTC-USDT", interval: "1m",
    start, end: start + 60_000, open: "10", high: "12.5", low: "9.75", close: "11",
    volume: "3.5", quote_volume: "38", taker_buy_volume: "1", taker_buy_quote_volume: "11",
    count: 4, first_id: n * 10, last_id: n * 10 + 3, closed: true, rev: 0, completeness: "complete",
    close_no: n, epoch: 1, seq: 1, event_time: start + 60_000, publish_time: start + 60_001, ...change,
  };
}

/** The open bar of the minute `n`, which knows that `n - 1` was committed. */
export function open(n: number, seq: number, change: Partial<Bar> = {}): Bar {
  return bar(n, { closed: false, seq, close_no: n - 1, ...change });
}

/** Closed bars `from` to `to`, both included. */
export function closed(from: number, to: number): Bar[] {
  return Array.from({ length: to - from + 1 }, (_, index) => bar(from + index));
}
