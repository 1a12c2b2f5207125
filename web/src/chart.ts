// The shell around lightweight-charts: candles, volume under them, marks, crosshair. The only file
// where an amount becomes a float, and only to be drawn.

import {
  CandlestickSeries, createChart, CrosshairMode, HistogramSeries,
  type CandlestickData, type HistogramData, type IChartApi, type ISeriesApi, type Time, type UTCTimestamp,
} from "lightweight-charts";
import type { Changes } from "./feed.ts";
import { axisPrice, axisVolume, crosshairTime, direction, priceDigits } from "./format.ts";
import { Marks } from "./marks.ts";
import type { Bar } from "./protocol.ts";
import type { Series } from "./series.ts";
import { palette, type Palette } from "./theme.ts";

/** What the chart tells its owner. */
export interface ChartListener {
  /** The bar under the crosshair, null when there is none. */
  onPoint(bar: Bar | null): void;
  /** The oldest bar has come into view. */
  onOldest(): void;
}

// More changed bars than this in one frame are drawn by setting all of them.
const UPDATES_MAX = 64;
const FIRST_VIEW_BARS = 120;

/** Draws a series; keeps what it drew, to answer what is under the crosshair. */
export class Chart {
  private readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly marks: Marks;
  private colours: Palette;
  private drawn: Bar[] = [];
  private digits = -1;
  private cursor: number | null = null;
  private fresh = true;

  constructor(
    private readonly container: HTMLElement,
    private readonly listener: ChartListener,
  ) {
    this.colours = palette();
    this.chart = createChart(container, {
      autoSize: true,
      timeScale: { timeVisible: true, secondsVisible: true, rightOffset: 4, barSpacing: 8, minBarSpacing: 0.6 },
      crosshair: { mode: CrosshairMode.Normal },
      // The footer carries the notice and the link instead.
      layout: { attributionLogo: false, panes: { enableResize: false } },
      handleScroll: { vertTouchDrag: false },
    });
    this.candles = this.chart.addSeries(CandlestickSeries, { borderVisible: false, priceLineVisible: true });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.1 } });
    this.volume = this.chart.addSeries(
      HistogramSeries,
      { priceLineVisible: false, lastValueVisible: false, priceFormat: { type: "custom", minMove: 1e-8, base: 1e8, formatter: axisVolume } },
      1,
    );
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.12, bottom: 0 } });
    const [upper, lower] = this.chart.panes();
    upper?.setStretchFactor(4);
    lower?.setStretchFactor(1);
    this.marks = new Marks(() => this.drawn, this.colours);
    this.candles.attachPrimitive(this.marks);
    this.listen();
    this.applyPalette();
  }

  /** The bars on the screen's series, oldest first. */
  get bars(): readonly Bar[] {
    return this.drawn;
  }

  /** Digits behind the point that the price axis shows. */
  get priceDigits(): number {
    return Math.max(0, this.digits);
  }

  /** Another topic: clears the chart and goes to the newest bars with the next draw. */
  reset(spanMs: number): void {
    this.fresh = true;
    this.digits = -1;
    this.point(null);
    this.setAll([]);
    this.chart.applyOptions({
      timeScale: { secondsVisible: spanMs < 60_000, timeVisible: spanMs < 86_400_000 },
      localization: { timeFormatter: (time: Time) => crosshairTime(Number(time) * 1_000, spanMs) },
    });
  }

  apply(changes: Changes, series: Series): void {
    const lastStart = this.drawn.at(-1)?.start ?? -Infinity;
    const old = changes.starts.filter((start) => start < lastStart).length;
    if (changes.all || changes.starts.length > UPDATES_MAX || old > 8) {
      this.setAll(series.bars());
      return;
    }
    for (const start of changes.starts) {
      const bar = series.get(start);
      if (bar !== undefined) this.update(bar);
    }
    if (changes.starts.length > 0) this.fitDigits(changes.starts.map((start) => series.get(start)).filter((bar) => bar !== undefined));
  }

  /** Takes the colours in force. */
  applyPalette(): void {
    const c = (this.colours = palette());
    this.chart.applyOptions({
      layout: { background: { color: c.surface }, textColor: c.text, fontFamily: FONT, panes: { separatorColor: c.border, separatorHoverColor: c.border } },
      grid: { vertLines: { color: c.grid }, horzLines: { color: c.grid } },
      crosshair: { vertLine: { color: c.crosshair, labelBackgroundColor: c.crosshair }, horzLine: { color: c.crosshair, labelBackgroundColor: c.crosshair } },
      rightPriceScale: { borderColor: c.border },
      timeScale: { borderColor: c.border },
    });
    this.candles.applyOptions({ upColor: c.up, downColor: c.down, wickUpColor: c.up, wickDownColor: c.down });
    this.marks.setPalette(c);
    this.setAll(this.drawn);
  }

  private setAll(bars: readonly Bar[]): void {
    this.drawn = [...bars];
    this.candles.setData(this.drawn.map((bar) => this.candle(bar)));
    this.volume.setData(this.drawn.map((bar) => this.column(bar)));
    this.fitDigits(this.drawn);
    if (this.fresh && this.drawn.length > 0) {
      this.fresh = false;
      const bars = Math.min(FIRST_VIEW_BARS, Math.max(30, Math.floor(this.container.clientWidth / 9)));
      this.chart.timeScale().setVisibleLogicalRange({ from: this.drawn.length - bars, to: this.drawn.length + 3 });
    }
  }

  private update(bar: Bar): void {
    const last = this.drawn.at(-1);
    const older = last !== undefined && bar.start < last.start;
    if (last === undefined || bar.start > last.start) this.drawn.push(bar);
    else this.drawn[this.indexOf(bar.start)] = bar;
    this.candles.update(this.candle(bar), older);
    this.volume.update(this.column(bar), older);
  }

  private candle(bar: Bar): CandlestickData<UTCTimestamp> {
    const data = {
      time: (bar.start / 1_000) as UTCTimestamp,
      open: Number(bar.open),
      high: Number(bar.high),
      low: Number(bar.low),
      close: Number(bar.close),
    };
    // A flat bar went neither way; one with trades keeps the colour of its way, whatever its mark.
    if (bar.count > 0 || (bar.completeness !== "quiet" && bar.completeness !== "unknown")) return data;
    const colour = this.colours[bar.completeness];
    return { ...data, color: colour, wickColor: colour };
  }

  private column(bar: Bar): HistogramData<UTCTimestamp> {
    const up = direction(bar.open, bar.close) !== "down";
    return { time: (bar.start / 1_000) as UTCTimestamp, value: Number(bar.volume), color: `${up ? this.colours.up : this.colours.down}80` };
  }

  /** The axis shows as many digits as the prices have; it never shows fewer than before. */
  private fitDigits(bars: readonly Bar[]): void {
    const digits = Math.max(this.digits, priceDigits(bars));
    if (digits === this.digits || bars.length === 0) return;
    this.digits = digits;
    this.candles.applyOptions({
      priceFormat: { type: "custom", minMove: 10 ** -digits, base: 10 ** digits, formatter: (price: number) => axisPrice(price, digits) },
    });
  }

  private indexOf(start: number): number {
    let low = 0;
    let high = this.drawn.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.drawn[middle]?.start ?? Infinity) < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private listen(): void {
    this.chart.subscribeCrosshairMove((event) => {
      if (event.sourceEvent === undefined && event.time !== undefined) return;
      const index = event.time === undefined ? -1 : this.indexOf(Number(event.time) * 1_000);
      this.cursor = this.drawn[index] === undefined ? null : (this.drawn[index]?.start ?? null);
      this.listener.onPoint(this.drawn[index] ?? null);
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < 20 && this.drawn.length > 0) this.listener.onOldest();
    });
    this.container.addEventListener("keydown", (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey && this.key(event.key)) event.preventDefault();
    });
    this.container.addEventListener("blur", () => this.point(null));
  }

  /** Keys on the focused chart; true when the key meant something. */
  private key(key: string): boolean {
    const last = this.drawn.length - 1;
    if (last < 0) return false;
    const at = this.cursor === null ? null : Math.min(last, this.indexOf(this.cursor));
    if (key === "ArrowLeft") this.point(at === null ? last : Math.max(0, at - 1));
    else if (key === "ArrowRight") this.point(at === null ? last : Math.min(last, at + 1));
    else if (key === "Home") this.point(0);
    else if (key === "End") this.point(last);
    else if (key === "Escape") this.point(null);
    else if (key === "+" || key === "=") this.zoom(1.25);
    else if (key === "-") this.zoom(0.8);
    else return false;
    return true;
  }

  private point(index: number | null): void {
    const bar = index === null ? undefined : this.drawn[index];
    if (index === null || bar === undefined) {
      this.cursor = null;
      this.chart.clearCrosshairPosition();
      this.listener.onPoint(null);
      return;
    }
    this.cursor = bar.start;
    this.reveal(index);
    this.chart.setCrosshairPosition(Number(bar.close), (bar.start / 1_000) as UTCTimestamp, this.candles);
    this.listener.onPoint(bar);
  }

  private reveal(index: number): void {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (range === null || (index >= range.from && index <= range.to)) return;
    const half = (range.to - range.from) / 2;
    scale.setVisibleLogicalRange({ from: index - half, to: index + half });
  }

  private zoom(factor: number): void {
    const { barSpacing } = this.chart.timeScale().options();
    this.chart.timeScale().applyOptions({ barSpacing: Math.min(60, Math.max(0.6, barSpacing * factor)) });
  }
}

const FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
