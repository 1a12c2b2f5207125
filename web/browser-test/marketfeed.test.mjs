// The page over the real server: MARKETFEED_BIN names the binary.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  answers, BIN, drawn, freePort, holes, inspect, isNetworkLine, launch, openPage, screenshot, startMarketfeed, until,
} from "./support.mjs";

const skip = BIN === undefined ? "MARKETFEED_BIN is not set" : false;
const GENERATE = ["--generate", "BTC-USDT,ETH-USDT,coinbase:BTC-USD", "--rate", "120", "--log", "warn"];
// A picture that is kept shows a screen full of bars.
const BARS = process.env.SCREENSHOT_DIR === undefined ? 20 : 90;
const RECORDING = join(import.meta.dirname, "../../../shared/data/binance-spot-btcusdt-2024-08-09/spot_btcusdt_20240808.gz");

test("candles are drawn and move, in dark and light, on a desk and a phone", { skip }, async (t) => {
  const server = startMarketfeed(await freePort(), GENERATE);
  t.after(server.stop);
  await answers(server, "api/v1/topics");
  const browser = await launch({ colorScheme: "light" });
  t.after(browser.close);
  const { page, said, foreign } = await openPage(browser.context);

  await page.goto(`${server.url}?symbol=BTC-USDT&interval=1s`);
  await until(page, (state, extra) => state.state === "live" && state.bars >= extra, BARS, 180_000);
  const before = await inspect(page);
  await until(page, (state, last) => state.lastBar.start > last.start, before.lastBar);
  await until(page, (state, last) => state.lastBar.close !== last.close, before.lastBar);
  assert.deepEqual(holes(await page.evaluate(() => window.marketfeed.bars())), []);
  const [up, down] = [await drawn(page, "--up"), await drawn(page, "--down")];
  assert.ok(up.colours > 8, "the canvas is blank");
  assert.ok(up.pixels + down.pixels > 50, "no candle has its colour");
  assert.match(await page.title(), /^\d+(\.\d+)? BTC-USDT 1s · MarketFeed$/);
  await screenshot(page, "page-light");

  const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForFunction((was) => getComputedStyle(document.body).backgroundColor !== was, light);
  await screenshot(page, "page-dark");
  await page.getByRole("button", { name: "Switch to light colours" }).click();
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), light);
  await page.reload();
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), light, "the choice is remembered");

  await page.getByRole("radio", { name: "1m" }).click();
  await until(page, (state) => state.topic === "kline:binance-spot:1m:BTC-USDT" && state.bars > 0);
  await page.getByLabel("Symbol and venue").selectOption({ label: "BTC-USD" });
  await until(page, (state) => state.topic === "kline:coinbase:1m:BTC-USD" && state.bars > 0);
  assert.equal(new URL(page.url()).search, "?symbol=BTC-USD&venue=coinbase&interval=1m");
  await page.goBack();
  await until(page, (state) => state.topic === "kline:binance-spot:1m:BTC-USDT" && state.bars > 0);

  await page.setViewportSize({ width: 360, height: 740 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, "the phone scrolls sideways");
  await screenshot(page, "page-phone");
  const small = await page.evaluate(() => [...document.querySelectorAll("button, select")].filter((one) => one.offsetHeight > 0 && one.offsetHeight < 40).map((one) => one.id || one.textContent));
  assert.deepEqual(small, [], "too small to touch");

  assert.deepEqual(said, [], "the console is not silent");
  assert.deepEqual(foreign, [], "requests to elsewhere");
});

test("the page comes back by itself after the server was killed and started again", { skip }, async (t) => {
  const port = await freePort();
  let server = startMarketfeed(port, GENERATE);
  t.after(() => server.stop());
  await answers(server, "api/v1/topics");
  const browser = await launch();
  t.after(browser.close);
  const { page, said } = await openPage(browser.context);
  await page.goto(`${server.url}?symbol=ETH-USDT&interval=1s`);
  await until(page, (state) => state.state === "live" && state.bars >= 3);
  assert.deepEqual(said, []);

  await server.stop();
  await until(page, (state) => state.state === "waiting");
  await page.getByText("Reconnecting", { exact: true }).waitFor();
  const held = await inspect(page);
  assert.ok(held.bars >= 3, "what was drawn stays readable");

  server = startMarketfeed(port, GENERATE);
  await answers(server, "api/v1/topics");
  await until(page, (state, last) => state.state === "live" && state.lastBar !== null && state.lastBar.epoch > last.epoch && state.lastBar.start >= last.start, held.lastBar, 60_000);
  const back = await inspect(page);
  await until(page, (state, last) => state.lastBar.start > last.start + 2_000, back.lastBar);
  assert.equal((await inspect(page)).connects, 2);
  assert.deepEqual(said.filter((line) => !isNetworkLine(line)), [], "more than the browser's own lines on the server being away");
});

test("a recording: from process start to the first bar on the page", { skip }, async (t) => {
  if (!existsSync(RECORDING)) {
    t.skip(`recordings not present at ${RECORDING}`);
    return;
  }
  const browser = await launch();
  t.after(browser.close);
  const { page, said } = await openPage(browser.context);
  const port = await freePort();
  const begun = performance.now();
  const server = startMarketfeed(port, ["--replay", `binance-spot=${RECORDING}`]);
  t.after(server.stop);
  await answers(server);
  const answered = performance.now() - begun;
  await page.goto(server.url);
  await until(page, (state) => state.bars > 0, null, 60_000);
  const drawn = performance.now() - begun;
  console.log(`from process start: first answer ${answered.toFixed(0)} ms, first bar on the page ${drawn.toFixed(0)} ms`);
  t.diagnostic(`from process start to first bar on the page: ${drawn.toFixed(0)} ms`);
  assert.equal((await inspect(page)).lastBar.symbol, "BTC-USDT");
  assert.deepEqual(said, []);
});
