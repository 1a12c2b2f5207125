// A made-up market for working on the page without the Rust side: bars of every completeness,
// prices from 0.00001234 to 61837, closes numbered as the contract says. Seeded: every run is alike.

const SPANS = { "1s": 1_000, "1m": 60_000, "1h": 3_600_000 };

const INSTRUMENTS = [
  { venue: "binance-spot", symbol: "BTC-USDT", tick: 2, price: 6_183_763n, quiet: 0 },
  { venue: "binance-spot", symbol: "ETH-USDT", tick: 2, price: 265_120n, quiet: 0.02 },
  { venue: "binance-spot", symbol: "PEPE-USDT", tick: 8, price: 1_234n, quiet: 0.1 },
  { venue: "coinbase", symbol: "BTC-USD", tick: 2, price: 6_184_001n, quiet: 0.05 },
  { venue: "coinbase", symbol: "DOT-EUR", tick: 3, price: 4_512n, quiet: 0.85 },
];

const HISTORY_BARS = 700;

/** Decimal string of a scaled integer, without trailing zeros. */
export function decimal(value, digits) {
  const text = (value < 0n ? -value : value).toString().padStart(digits + 1, "0");
  const whole = digits === 0 ? text : text.slice(0, -digits);
  const fraction = digits === 0 ? "" : text.slice(-digits).replace(/0+$/, "");
  return `${value < 0n ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

/** A small seeded generator (mulberry32). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

class Line {
  constructor(instrument, interval, short, now, epoch, random) {
    Object.assign(this, { instrument, interval, random, epoch });
    this.span = SPANS[interval];
    this.topic = short ? `kline:${interval}:${instrument.symbol}` : `kline:${instrument.venue}:${interval}:${instrument.symbol}`;
    this.price = instrument.price;
    this.closeNo = 0;
    this.seq = 0;
    this.nextId = 1_000;
    this.bars = [];
    const current = Math.floor(now / this.span) * this.span;
    for (let i = HISTORY_BARS; i > 0; i -= 1) {
      this.open = this.fresh(current - i * this.span);
      const trades = random() < instrument.quiet ? 0 : 6;
      for (let trade = 0; trade < trades; trade += 1) this.trade();
      this.close(now, this.completeness(trades === 0));
    }
    this.open = this.fresh(current);
  }

  completeness(quiet) {
    if (quiet) return "quiet";
    const dice = this.random();
    return dice < 0.006 ? "gap" : dice < 0.012 ? "unknown" : dice < 0.02 ? "repaired" : "complete";
  }

  fresh(start) {
    const p = this.price;
    return { start, open: p, high: p, low: p, close: p, volume: 0n, taker: 0n, quote: 0n, takerQuote: 0n, count: 0, first: null, last: null };
  }

  trade() {
    const bar = this.open;
    const step = BigInt(Math.round((this.random() - 0.495) * Math.max(4, Number(this.price) / 2_500)));
    this.price = this.price + step > 0n ? this.price + step : this.price;
    const size = BigInt(1 + Math.floor(this.random() ** 4 * 250_000));
    if (bar.count === 0) bar.open = bar.high = bar.low = this.price;
    if (this.price > bar.high) bar.high = this.price;
    if (this.price < bar.low) bar.low = this.price;
    bar.close = this.price;
    bar.volume += size;
    bar.quote += size * this.price;
    if (this.random() < 0.5) {
      bar.taker += size;
      bar.takerQuote += size * this.price;
    }
    bar.count += 1;
    bar.first ??= this.nextId;
    bar.last = this.nextId;
    this.nextId += 1;
  }

  close(now, completeness) {
    this.closeNo += 1;
    const closed = { ...this.encode(now, true), completeness, close_no: this.closeNo };
    this.bars.push(closed);
    if (this.bars.length > 20_000) this.bars.shift();
    this.open = this.fresh(closed.end);
    return closed;
  }

  encode(now, closed = false) {
    const { instrument, interval, open: bar } = this;
    const size = (value) => decimal(value, 5);
    const quote = (value) => decimal(value, 5 + instrument.tick);
    const price = (value) => decimal(value, instrument.tick);
    this.seq += 1;
    return {
      op: "bar", topic: this.topic, venue: instrument.venue, symbol: instrument.symbol, interval,
      start: bar.start, end: bar.start + this.span,
      open: price(bar.open), high: price(bar.high), low: price(bar.low), close: price(bar.close),
      volume: size(bar.volume), quote_volume: quote(bar.quote), taker_buy_volume: size(bar.taker), taker_buy_quote_volume: quote(bar.takerQuote),
      count: bar.count, first_id: bar.first, last_id: bar.last, closed, rev: 0,
      completeness: bar.count === 0 ? "quiet" : "complete", close_no: this.closeNo, epoch: this.epoch, seq: this.seq,
      event_time: now, publish_time: now,
    };
  }

  /** Commits a higher revision of the bar that closed `back` bars ago. */
  amend(back, now) {
    const at = this.bars.length - 1 - back;
    const old = this.bars[at];
    if (old === undefined) return null;
    this.closeNo += 1;
    this.bars[at] = { ...old, rev: old.rev + 1, completeness: "repaired", count: old.count + 1, close_no: this.closeNo, publish_time: now };
    return this.bars[at];
  }
}

/** All topics, and what happens to them as time goes on. */
export class Market {
  constructor({ now, seed = 7, epoch = now }) {
    const random = seeded(seed);
    const listed = new Set();
    this.random = random;
    this.lines = new Map();
    for (const instrument of INSTRUMENTS) {
      const short = !listed.has(instrument.symbol);
      listed.add(instrument.symbol);
      for (const interval of Object.keys(SPANS)) {
        this.lines.set(`kline:${instrument.venue}:${interval}:${instrument.symbol}`, new Line(instrument, interval, short, now, epoch, random));
      }
    }
  }

  /** A line by its long or short topic. */
  line(topic) {
    return this.lines.get(topic) ?? [...this.lines.values()].find((line) => line.topic === topic);
  }

  topics() {
    return [...this.lines.values()].map(({ topic, interval, instrument }) => ({ topic, venue: instrument.venue, symbol: instrument.symbol, interval }));
  }

  /** Brings every line to `now`; gives the bars to publish, closes before the open bar. */
  advance(now) {
    const out = [];
    for (const line of this.lines.values()) {
      while (now >= line.open.start + line.span) out.push(line.close(now, line.completeness(line.open.count === 0)));
      if (this.random() >= line.instrument.quiet) line.trade();
      out.push(line.encode(now));
    }
    return out;
  }
}
