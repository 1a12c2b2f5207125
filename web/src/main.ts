// Starts the page, and lets tests look at it.

import { App } from "./app.ts";

const app = new App();
app.start();

Object.defineProperty(window, "marketfeed", {
  value: Object.freeze({ inspect: () => app.inspect(), bars: () => app.bars() }),
});
