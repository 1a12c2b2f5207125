// Pure: no socket, clock or DOM. The bars of one topic, from history and live alike, in order of start.
//
// Which of two bars with one start is kept does not depend on the order in which they came.

import type { Bar, Completeness } from "./protocol.ts";

/** What a merge did, so that the chart redraws no more than it must. */
export type Change = "appended" | "replaced" | "inserted" | "ignored";

/**
 * The bars held, by start. Bounded: beyond `max` bars the oldest are dropped, for a page may be
 * left open on a 1s topic for weeks (20,000 bars are some 10 MB and five and a half hours of 1s).
 */
export class Series {
  private readonly byStart = new Map<number, Bar>();
  private ordered: number[] = [];
  private readonly tally: Record<Completeness, number> = { complete: 0, quiet: 0, repaired: 0, gap: 0, unknown: 0 };

  constructor(private readonly max: number = 20_000) {}

  get length(): number {
    return this.ordered.length;
  }

  /** How many of the bars held are of each kind. */
  get counts(): Readonly<Record<Completeness, number>> {
    return this.tally;
  }

  /** Oldest first. */
  bars(): readonly Bar[] {
    return this.ordered.map((start) => this.byStart.get(start)).filter((bar): bar is Bar => bar !== undefined);
  }

  get(start: number): Bar | undefined {
    return this.byStart.get(start);
  }

  at(index: number): Bar | undefined {
    const start = this.ordered.at(index);
    return start === undefined ? undefined : this.byStart.get(start);
  }

  first(): Bar | undefined {
    return this.at(0);
  }

  last(): Bar | undefined {
    return this.at(-1);
  }

  /** The oldest bar that is closed. */
  firstClosed(): Bar | undefined {
    for (let index = 0; index < this.ordered.length; index += 1) {
      const bar = this.at(index);
      if (bar?.closed === true) return bar;
    }
    return undefined;
  }

  /** The newest closed bar whose close_no is at most the given one: where a refetch starts. */
  lastClosed(closeNo: number): Bar | undefined {
    for (let index = this.ordered.length - 1; index >= 0; index -= 1) {
      const bar = this.at(index);
      if (bar?.closed === true && bar.close_no <= closeNo) return bar;
    }
    return undefined;
  }

  /** The bar before the one that starts at the time. */
  previous(start: number): Bar | undefined {
    const index = this.indexOf(start);
    return index > 0 ? this.at(index - 1) : undefined;
  }

  /** Position of the first bar that starts at or after the time. */
  indexOf(start: number): number {
    let low = 0;
    let high = this.ordered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.ordered[middle] ?? Infinity) < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  merge(bar: Bar): Change {
    const held = this.byStart.get(bar.start);
    if (held !== undefined) {
      if (!supersedes(bar, held)) return "ignored";
      this.byStart.set(bar.start, bar);
      this.tally[held.completeness] -= 1;
      this.tally[bar.completeness] += 1;
      return "replaced";
    }
    const index = this.indexOf(bar.start);
    const appended = index === this.ordered.length;
    if (appended) this.ordered.push(bar.start);
    else this.ordered.splice(index, 0, bar.start);
    this.byStart.set(bar.start, bar);
    this.tally[bar.completeness] += 1;
    return appended ? "appended" : "inserted";
  }

  /** Drops the oldest beyond the bound, a tenth at a time; true when bars went. */
  trim(): boolean {
    if (this.ordered.length <= this.max) return false;
    const keep = Math.floor(this.max * 0.9);
    for (const start of this.ordered.slice(0, -keep)) {
      const bar = this.byStart.get(start);
      if (bar !== undefined) this.tally[bar.completeness] -= 1;
      this.byStart.delete(start);
    }
    this.ordered = this.ordered.slice(-keep);
    return true;
  }
}

/** Whether `next` takes the place of `held`, both with one start. */
export function supersedes(next: Bar, held: Bar): boolean {
  if (next.closed !== held.closed) return next.closed;
  if (next.closed) {
    // A committed close never changes but by a higher rev.
    return next.rev > held.rev;
  }
  if (next.epoch !== held.epoch) return next.epoch > held.epoch;
  return next.seq > held.seq;
}
