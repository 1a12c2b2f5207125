// What the browser tests share: a browser, a page whose console is kept, the server process.

import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

/** The binary under test; without it the tests of the real server are skipped, and say so. */
export const BIN = process.env.MARKETFEED_BIN;

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** A browser with a user data folder of its own, which goes when it is closed. */
export async function launch(options = {}) {
  const folder = await mkdtemp(join(tmpdir(), "marketfeed-browser-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS,
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  return {
    context,
    close: async () => {
      await context.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A page that keeps all that its console says and every request that leaves the server. */
export async function openPage(context) {
  const page = await context.newPage();
  const said = [];
  const foreign = [];
  page.on("console", (message) => said.push({ type: message.type(), text: message.text() }));
  page.on("pageerror", (error) => said.push({ type: "exception", text: String(error) }));
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && hostname !== "127.0.0.1") foreign.push(request.url());
  });
  return { page, said, foreign };
}

/** Lines that the browser itself writes when a server is not there; nothing else is forgiven. */
export function isNetworkLine({ type, text }) {
  return (
    type === "error" &&
    /^(WebSocket connection to 'ws:\/\/127\.0\.0\.1:\d+\/ws' failed|Failed to load resource: net::ERR_(CONNECTION|EMPTY|INCOMPLETE|NETWORK))/.test(text)
  );
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts `marketfeed up`; `stop` kills it without ceremony and waits until it is gone. */
export function startMarketfeed(port, args) {
  const child = spawn(BIN, ["up", "--listen", `127.0.0.1:${port}`, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (data) => (output = (output + data).slice(-4_000)));
  child.stderr.on("data", (data) => (output = (output + data).slice(-4_000)));
  const gone = new Promise((resolve) => {
    child.once("exit", resolve);
    child.once("error", (error) => {
      output += String(error);
      resolve();
    });
  });
  return {
    url: `http://127.0.0.1:${port}/`,
    output: () => output,
    alive: () => child.exitCode === null && child.signalCode === null && child.pid !== undefined,
    stop: async () => {
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** Waits until the server answers; fails at once with its output when it has gone. */
export async function answers(server, path = "", deadlineMs = 30_000) {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    try {
      const response = await fetch(server.url + path);
      await response.arrayBuffer();
      if (response.ok) return;
    } catch {
      // Not listening yet.
    }
    if (!server.alive()) throw new Error(`marketfeed has stopped:\n${server.output()}`);
    if (performance.now() > deadline) throw new Error(`no answer from ${server.url}${path}:\n${server.output()}`);
    await sleep(10);
  }
}

/** Waits until the page's own account of itself meets a condition, a function of it and `extra`. */
export async function until(page, condition, extra, timeoutMs = 30_000) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    // Asked from here: the server's content security policy lets no test compile code in the page.
    const state = await page.evaluate(() => window.marketfeed?.inspect());
    if (state !== undefined && condition(state, extra)) return;
    if (performance.now() > deadline) throw new Error(`not reached: ${condition}; the page is at ${JSON.stringify(state)}`);
    await sleep(20);
  }
}

export const inspect = (page) => page.evaluate(() => window.marketfeed.inspect());

/**
 * How many different colours the chart shows (a blank one has one or two), and how many pixels have
 * exactly the colour of the style sheet's `variable`. Read from copies: reading the page's own
 * canvases again and again would make the browser warn on the console.
 */
export function drawn(page, variable) {
  return page.evaluate((name) => {
    const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const wanted = parseInt(hex.slice(1), 16);
    const colours = new Set();
    let pixels = 0;
    for (const canvas of document.querySelectorAll("#chart canvas")) {
      if (canvas.width === 0 || canvas.height === 0) continue;
      const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
      context.drawImage(canvas, 0, 0);
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] < 255) continue;
        const colour = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
        colours.add(colour);
        if (colour === wanted) pixels += 1;
      }
    }
    return { colours: colours.size, pixels };
  }, variable);
}

/** Where screenshots go: SCREENSHOT_DIR, else a folder under the system's temporary one. */
export async function screenshot(page, name, options = {}) {
  const folder = process.env.SCREENSHOT_DIR ?? join(tmpdir(), "marketfeed-screenshots");
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), ...options });
}

/**
 * The closed bars whose predecessor is not there. Open bars are left out: between the newest close
 * and the open bar there may be buckets that the reorder window still keeps from closing.
 */
export function holes(bars) {
  const closed = bars.filter((bar) => bar.closed);
  return closed.filter((bar, index) => index > 0 && bar.start !== closed[index - 1].end).map((bar) => bar.start);
}
