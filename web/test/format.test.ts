import assert from "node:assert/strict";
import { test } from "node:test";
import { delayMs } from "../src/backoff.ts";
import { compare, fractionDigits, pad, percentChange, subtract } from "../src/decimal.ts";
import { axisPrice, axisVolume, change, crosshairTime, intervalMs, priceDigits, rows, title, utc } from "../src/format.ts";
import { choose, instruments, opening, parseQuery, toQuery } from "../src/selection.ts";
import { ANSWER_MS, STALE_MS, statusKind, type Heard } from "../src/status.ts";
import { bar } from "./bars.ts";

/** Cases of one function: arguments and what is expected. */
function check<A extends readonly unknown[], R>(of: (...args: A) => R, cases: readonly (readonly [A, R])[]): void {
  for (const [args, expected] of cases) assert.deepEqual(of(...args), expected, `${of.name}(${args.map(String).join(", ")})`);
}

test("decimals are exact", () => {
  check(fractionDigits, [[["0.00001234"], 8], [["61840"], 0]]);
  check(compare, [[["1.10", "1.1"], 0], [["0.1", "0.09"], 1], [["-2", "1"], -1], [["9007199254740993", "9007199254740992"], 1]]);
  check(pad, [[["61840", 2], "61840.00"], [["0.1", 3], "0.100"], [["-1.25", 2], "-1.25"], [["1.234", 2], "1.234"], [["5", 0], "5"]]);
  check(subtract, [[["0.3", "0.1"], "0.2"], [["1", "1.0"], "0"], [["61840", "61837.63"], "2.37"], [["0.1", "0.30001"], "-0.20001"]]);
  check(percentChange, [
    [["100", "100.25"], "+0.25"], [["3", "2"], "-33.33"], [["3", "5"], "+66.67"], [["1", "1.00004"], "0.00"],
    [["200", "200.01"], "+0.01"], [["0.00001234", "0.00002468"], "+100.00"], [["0", "5"], null],
  ]);
});

test("times are UTC, numbers readable", () => {
  check(utc, [[[1_723_161_240_000], "2024-08-08 23:54:00"], [[1_723_161_240_012], "2024-08-08 23:54:00.012"]]);
  check(crosshairTime, [
    [[1_723_161_240_000, 1_000], "2024-08-08 23:54:00"], [[1_723_161_240_000, 60_000], "2024-08-08 23:54"], [[1_723_075_200_000, 86_400_000], "2024-08-08"],
  ]);
  check(intervalMs, [[["1s"], 1_000], [["5m"], 300_000], [["1h"], 3_600_000], [["1d"], 86_400_000], [["0m"], null], [["m"], null], [["1w"], null]]);
  check(axisVolume, [
    [[0], "0"], [[0.0042], "0.0042"], [[7.5], "7.5"], [[999], "999"], [[1_200], "1.2K"], [[125_000], "125K"], [[35e6], "35M"], [[2e12], "2T"], [[1e-9], "0.000000001"],
  ]);
  check(axisPrice, [[[0.00001234, 8], "0.00001234"], [[61_840, 2], "61840.00"]]);
  check(change, [[["10", "11", 2], "+1.00 (+10.00%)"]]);
  check(change, [[["10", "11"], "+1 (+10.00%)"], [["10", "9.5"], "-0.5 (-5.00%)"], [["4.53", "4.53"], "0 (0.00%)"], [["0", "1"], "+1"]]);
});

test("the axis has the digits of the prices, the readout their very text", () => {
  assert.equal(priceDigits([bar(1), bar(2, { low: "0.00001234" })]), 8);
  assert.equal(priceDigits([]), 0);
  const shown = new Map(rows(bar(1, { volume: "0.10000000000000000001", first_id: null })).map((row) => [row.label, row.value]));
  assert.equal(shown.get("Volume"), "0.10000000000000000001");
  assert.equal(shown.get("First trade id"), "none");
  assert.equal(shown.get("Completeness"), "complete");
  check(title, [[[null, null, undefined], "MarketFeed"], [["A-B", "1m", bar(1)], "11 A-B 1m · MarketFeed"]]);
});

test("backoff doubles, is bounded, and is spread over all of its range", () => {
  const bounds = { first_ms: 500, max_ms: 15_000 };
  check(delayMs, [
    [[0, 0.5, bounds], 250], [[0, 0.999999, bounds], 500], [[3, 0.5, bounds], 2_000], [[9, 0.5, bounds], 7_500],
    [[5_000, 0.999999, bounds], 15_000], [[4, 0, bounds], 50], [[-1, 0.5, bounds], 250],
  ]);
});

test("the address chooses, the list decides", () => {
  const list = (venue: string, symbol: string, ...intervals: string[]) => intervals.map((interval) => ({ topic: "", venue, symbol, interval }));
  const all = instruments([...list("binance-spot", "BTC-USDT", "1h", "1s", "1m"), ...list("coinbase", "BTC-USDT", "1m"), ...list("coinbase", "DOT-EUR", "5m", "1s")]);
  assert.deepEqual(all.map((one) => one.intervals), [["1s", "1m", "1h"], ["1m"], ["1s", "5m"]]);
  const pick = (search: string): string => {
    const choice = choose(all, parseQuery(search));
    return choice === null ? "none" : `${toQuery(choice.selection)}${choice.notice === null ? "" : " !"}`;
  };
  check(pick, [
    [[""], "?symbol=BTC-USDT&venue=binance-spot&interval=1m"],
    [["?symbol=btc-usdt&venue=coinbase"], "?symbol=BTC-USDT&venue=coinbase&interval=1m"],
    [["?symbol=DOT-EUR"], "?symbol=DOT-EUR&venue=coinbase&interval=1s"],
    [["?symbol=DOT-EUR&interval=1h"], "?symbol=DOT-EUR&venue=coinbase&interval=1s !"],
    [["?symbol=XRP-USDT"], "?symbol=BTC-USDT&venue=binance-spot&interval=1m !"],
    [["?symbol=DOT-EUR&venue=binance-spot"], "?symbol=DOT-EUR&venue=coinbase&interval=1s !"],
    [["?interval=1h"], "?symbol=BTC-USDT&venue=binance-spot&interval=1h"],
  ]);
  assert.equal(choose([], parseQuery("")), null);
  check((search: string) => choose(all, parseQuery(search))?.intervals ?? null, [
    [[""], ["1s", "1m", "1h"]], [["?symbol=DOT-EUR"], ["1s", "5m"]], [["?interval=1m"], null], [["?interval=7m"], null],
  ]);
});

test("what is opened has bars to show", () => {
  const all = ["1s", "1m", "1h"];
  check(opening, [
    [[all, [0, 0, 0]], "1s"], [[all, [29, 0, 0]], "1s"], [[all, [30, 1, 0]], "1s"], [[all, [30, 30, 29]], "1m"], [[all, [30, 30, 30]], "1h"],
    [[all, [0, 30, 0]], "1m"], [[["5m"], []], "5m"], [[[], []], undefined],
  ]);
});

test("only an open bar of the topic makes the page live", () => {
  const nothing: Heard = { subscribedAt: null, barAt: null, open: false, openBefore: false };
  const asked = { ...nothing, subscribedAt: 1_000 };
  const closedOnly = { ...asked, barAt: 1_500 };
  const open = { ...asked, barAt: 2_000, open: true, openBefore: true };
  check(statusKind, [
    [["waiting", open, 2_000], "waiting"], [["connecting", open, 2_000], "connecting"], [["live", nothing, 99_000], "connecting"],
    [["live", asked, 1_000 + ANSWER_MS], "connecting"], [["live", { ...asked, openBefore: true }, 1_000 + ANSWER_MS], "live"],
    [["live", asked, 1_001 + ANSWER_MS], "idle"], [["live", asked, 99_000], "idle"], [["live", closedOnly, 99_000], "idle"],
    [["live", open, 2_000 + STALE_MS], "live"], [["live", open, 2_001 + STALE_MS], "stale"],
  ]);
});
