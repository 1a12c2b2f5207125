// The page over the made-up market: marks, and what a real server does only on a bad day.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../test-server/server.mjs";
import { drawn, holes, inspect, isNetworkLine, launch, openPage, screenshot, until } from "./support.mjs";

const bars = (page) => page.evaluate(() => window.marketfeed.bars());

/** A page on its own made-up market. */
async function stage(t, query, options) {
  const server = await startServer({ seed: 7 });
  const browser = await launch(options);
  t.after(async () => {
    await browser.close();
    await server.stop();
  });
  const opened = await openPage(browser.context);
  await opened.page.goto(server.url + query);
  return { server, ...opened };
}

test("bars that are not complete are marked, counted and explained", async (t) => {
  const kinds = ["quiet", "gap", "unknown", "repaired"];
  const { page, said, server } = await stage(t, "", { colorScheme: "dark" });
  const line = server.market.line("kline:binance-spot:1m:BTC-USDT");
  line.bars.forEach((bar) => (bar.completeness = "complete"));
  await page.goto(`${server.url}?symbol=BTC-USDT&interval=1m`);
  await until(page, (state) => state.bars > 600);
  for (const kind of kinds) assert.equal((await drawn(page, `--${kind}`)).pixels, 0, `a mark of ${kind} without such a bar`);

  kinds.forEach((kind, index) => (line.bars.at(-12 - 9 * index).completeness = kind));
  await page.goto(`${server.url}?symbol=BTC-USDT&interval=1m`);
  await until(page, (state) => state.bars > 600);
  await page.locator("#chart").focus();
  for (const kind of kinds) {
    assert.equal(await page.locator("#legend li", { hasText: kind }).locator("b").textContent(), "1");
    const at = await page.evaluate((wanted) => window.marketfeed.bars().toReversed().findIndex((bar) => bar.completeness === wanted), kind);
    await page.keyboard.press("End");
    for (let steps = 0; steps < at; steps += 1) await page.keyboard.press("ArrowLeft");
    await page.locator(`dd[data-completeness="${kind}"]`).waitFor();
    assert.ok((await drawn(page, `--${kind}`)).pixels > 2, `a ${kind} bar has no mark`);
    if (kind === "gap") await screenshot(page, "page-marks");
  }
  assert.deepEqual(said, []);
});

test("tiny prices keep all their digits", async (t) => {
  const { page } = await stage(t, "?symbol=PEPE-USDT&interval=1s");
  await until(page, (state) => state.bars > 600);
  await page.waitForFunction(() => /^0\.0000\d{1,4}$/.test(document.getElementById("quote-price").textContent));
  assert.match(await page.title(), /^0\.0000\d{1,4} PEPE-USDT 1s/);
});

test("closes that never came on the socket, `missed` and dropped connections leave no hole", async (t) => {
  const { page, server, said } = await stage(t, "?symbol=BTC-USDT&interval=1s");
  await until(page, (state) => state.bars > 600);
  const line = server.market.line("kline:binance-spot:1s:BTC-USDT");

  server.faults.swallowCloses = 40;
  const swallowed = line.closeNo;
  await until(page, (state, past) => state.closeNo > past + 2, swallowed);
  server.faults.swallowCloses = 0;

  const amended = line.amend(100, Date.now());
  server.sendText(JSON.stringify({ op: "missed", topic: line.topic, from: amended.close_no, to: amended.close_no }));
  await page.waitForFunction((start) => window.marketfeed.bars().find((bar) => bar.start === start)?.rev === 1, amended.start);

  server.sendText("nonsense\n{\"op\":\"bar\"}");
  await until(page, (state) => state.badParts === 2);

  server.dropClients();
  await until(page, (state) => state.connects === 2 && state.state === "live");
  await until(page, (state, past) => state.closeNo > past, line.closeNo);

  const held = await bars(page);
  assert.deepEqual(holes(held), []);
  for (const bar of held.filter((one) => one.closed)) {
    const truth = line.bars.find((one) => one.start === bar.start);
    assert.deepEqual([bar.close, bar.rev, bar.close_no], [truth.close, truth.rev, truth.close_no]);
  }
  assert.deepEqual(said.filter((one) => !isNetworkLine(one)), []);
});

test("history that fails is told, and the page goes on when it is back", async (t) => {
  const server = await startServer({ seed: 7 });
  server.faults.klinesStatus = 503;
  const browser = await launch();
  t.after(async () => {
    await browser.close();
    await server.stop();
  });
  const { page } = await openPage(browser.context);
  await page.goto(`${server.url}?symbol=XRP-USDT`);
  await page.getByText("Bars could not be loaded").waitFor();
  await page.getByText("History is being read back.").waitFor();
  await page.getByText("XRP-USDT is not carried here. This is BTC-USDT on binance-spot.").waitFor();
  // While it still fails: once it is back, the page may be faster than the click.
  await page.getByRole("button", { name: "Try again" }).click();
  server.faults.klinesStatus = 0;
  await until(page, (state) => state.bars > 600);
  assert.equal(await page.locator("#overlay").isVisible(), false);
  assert.equal((await inspect(page)).state, "live");
});

test("without an interval in the address the page opens on one with bars to show", async (t) => {
  const { page, server, said } = await stage(t, "?symbol=BTC-USDT&interval=1s");
  const topic = (interval) => `kline:binance-spot:${interval}:BTC-USDT`;
  const keep = (interval, bars) => server.market.line(topic(interval)).bars.splice(0, 700 - bars);
  const opens = async (query, interval) => {
    await page.goto(server.url + query);
    await until(page, (state, wanted) => state.topic === wanted && state.bars > 0 && state.state === "live", topic(interval));
    assert.equal(new URL(page.url()).searchParams.get("interval"), interval);
  };
  await opens("", "1h");
  keep("1h", 5);
  await opens("?symbol=BTC-USDT", "1m");
  keep("1m", 1);
  await opens("", "1s");
  await opens("?interval=1h", "1h");
  assert.deepEqual(said, []);
});

test("a connection that brings no trades is not called live", async (t) => {
  const { page, server, said } = await stage(t, "?symbol=BTC-USDT&interval=1s");
  await page.getByText("Live", { exact: true }).waitFor();
  server.faults.noTrades = true;
  server.market.line("kline:binance-spot:1m:BTC-USDT").bars.length = 0;
  await page.goto(`${server.url}?symbol=BTC-USDT&interval=1m`);
  await page.getByText("Connected, waiting for trades").waitFor();
  await page.getByText("the exchange may be unreachable").waitFor();
  assert.equal((await inspect(page)).state, "idle");
  for (const width of [360, 740, 1280]) {
    await page.setViewportSize({ width, height: width === 360 ? 740 : 360 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, "the page scrolls sideways");
    await screenshot(page, `page-idle-${width}`);
  }
  server.faults.noTrades = false;
  await until(page, (state) => state.state === "live");
  await page.getByText("Live", { exact: true }).waitFor();
  assert.deepEqual(said, []);
});

test("the price has the axis' digits, the readout and the time axis fit the screen", async (t) => {
  const { page } = await stage(t, "?symbol=BTC-USDT&interval=1m");
  await until(page, (state) => state.bars > 600);
  const texts = new Set();
  for (let seen = 0; seen < 8; seen += 1) {
    const last = (await inspect(page)).lastBar;
    texts.add(await page.locator("#quote-price").textContent());
    await until(page, (state, seq) => state.lastBar.seq > seq, last.seq);
  }
  for (const text of texts) assert.match(text, /^\d+\.\d\d$/);
  assert.equal(await page.locator("#quote-change").getAttribute("title"), "Against the close of the previous bar");
  const bottom = (selector) => page.evaluate((name) => document.querySelector(name).getBoundingClientRect().bottom, selector);
  assert.ok((await bottom("#details > :last-child")) <= (await bottom(".details")), "the readout is cut");
  await screenshot(page, "page-desk");
  for (const [width, height] of [[740, 360], [915, 412]]) {
    await page.setViewportSize({ width, height });
    await screenshot(page, `page-landscape-${width}`);
    assert.ok((await bottom("#chart")) <= height, `the time axis is below a screen of ${width} by ${height}`);
  }
});
