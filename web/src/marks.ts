// Marks on bars that are not complete: a glyph under the candles, and a tint behind those that
// cannot be relied on. Shapes differ as well as colours, for those who cannot tell the colours apart.

import type { CanvasRenderingTarget2D } from "fancy-canvas";
import type {
  IChartApi, IPrimitivePaneRenderer, IPrimitivePaneView, ISeriesPrimitive, SeriesAttachedParameter, Time,
} from "lightweight-charts";
import type { Bar, Completeness } from "./protocol.ts";
import type { Palette } from "./theme.ts";

/** The kinds that carry a mark. */
export type Marked = Exclude<Completeness, "complete">;

/** Each glyph in a box from -1 to 1, as an SVG path: the legend draws the same ones. */
export const GLYPHS: Readonly<Record<Marked, string>> = {
  quiet: "M-.5 0a.5 .5 0 1 0 1 0a.5 .5 0 1 0 -1 0Z",
  repaired: "M0 -1L1 0L0 1L-1 0Z",
  gap: "M0 -1L1 .85L-1 .85Z",
  unknown: "M-1 -.6L-.6 -1L0 -.4L.6 -1L1 -.6L.4 0L1 .6L.6 1L0 .4L-.6 1L-1 .6L-.4 0Z",
};

const TINTED: readonly Marked[] = ["gap", "unknown"];

interface Mark {
  readonly x: number;
  readonly kind: Marked;
}

/** Draws the marks of the bars in view; looks at no others, so its cost is that of a screen. */
export class Marks implements ISeriesPrimitive<Time> {
  private chart: IChartApi | null = null;
  private requestUpdate: (() => void) | null = null;
  private marks: readonly Mark[] = [];
  private spacing = 6;
  private readonly views: readonly IPrimitivePaneView[];

  constructor(
    private readonly bars: () => readonly Bar[],
    private colours: Palette,
  ) {
    const renderer: IPrimitivePaneRenderer = {
      draw: (target) => this.drawGlyphs(target),
      drawBackground: (target) => this.drawTints(target),
    };
    this.views = [{ zOrder: () => "normal", renderer: () => renderer }];
  }

  attached(parameters: SeriesAttachedParameter<Time>): void {
    this.chart = parameters.chart as IChartApi;
    this.requestUpdate = parameters.requestUpdate;
  }

  detached(): void {
    this.chart = null;
    this.requestUpdate = null;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.views;
  }

  setPalette(colours: Palette): void {
    this.colours = colours;
    this.requestUpdate?.();
  }

  updateAllViews(): void {
    const scale = this.chart?.timeScale();
    const range = scale?.getVisibleLogicalRange();
    if (scale === undefined || range === undefined || range === null) {
      this.marks = [];
      return;
    }
    this.spacing = scale.options().barSpacing;
    const bars = this.bars();
    const marks: Mark[] = [];
    const last = Math.min(bars.length - 1, Math.ceil(range.to));
    for (let index = Math.max(0, Math.floor(range.from)); index <= last; index += 1) {
      const kind = bars[index]?.completeness;
      if (kind === undefined || kind === "complete") continue;
      const x = scale.logicalToCoordinate(index as never);
      if (x !== null) marks.push({ x, kind });
    }
    this.marks = marks;
  }

  private drawGlyphs(target: CanvasRenderingTarget2D): void {
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      const size = Math.min(4.5, Math.max(1, this.spacing * 0.45));
      const y = mediaSize.height - 8;
      for (const { x, kind } of this.marks) {
        context.fillStyle = this.colours[kind];
        if (size < 2) {
          // Too narrow for shapes: ticks, taller where the bar cannot be relied on.
          const height = kind === "quiet" ? 2 : 6;
          context.fillRect(x - size / 2, y - height / 2, Math.max(1, size), height);
          continue;
        }
        context.save();
        context.translate(x, y);
        context.scale(size, size);
        context.fill(PATHS[kind]);
        context.restore();
      }
    });
  }

  private drawTints(target: CanvasRenderingTarget2D): void {
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.save();
      context.globalAlpha = 0.13;
      for (const { x, kind } of this.marks) {
        if (!TINTED.includes(kind)) continue;
        context.fillStyle = this.colours[kind];
        context.fillRect(x - this.spacing / 2, 0, Math.max(1, this.spacing), mediaSize.height);
      }
      context.restore();
    });
  }
}

const PATHS: Readonly<Record<Marked, Path2D>> = {
  quiet: new Path2D(GLYPHS.quiet),
  repaired: new Path2D(GLYPHS.repaired),
  gap: new Path2D(GLYPHS.gap),
  unknown: new Path2D(GLYPHS.unknown),
};
