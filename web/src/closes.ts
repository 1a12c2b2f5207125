// Pure. Which closes of one topic have been seen, by their close_no.
//
// A topic's closes and amendments are numbered without holes, and an open bar carries the newest
// number: that is how a page knows of a close that it was never sent.

import type { Bar } from "./protocol.ts";

/** The numbers of one topic, from one server. */
export class Closes {
  /** Nothing up to here is missing. */
  seen = 0;
  /** The newest number heard of. */
  known = 0;
  // Live closes beyond a hole: they count as soon as the hole is filled.
  private run: { from: number; to: number } | null = null;
  private epoch = 0;

  get behind(): boolean {
    return this.known > this.seen;
  }

  /**
   * True when the bar comes from a server that counts anew. `held`: where the newest closed bar that
   * is held starts. A close with a number that has been seen is one of those held, or starts behind
   * them all: then it is of another count, whatever its epoch, which need not be higher (it follows
   * from the clock of whoever publishes). An open bar may be an old one where its epoch is not higher;
   * if it is, its owner starts from the newest committed number.
   */
  isReset(bar: Bar, held: number): boolean {
    if (bar.closed) return bar.close_no <= this.seen && (bar.start > held || bar.epoch > this.epoch);
    return bar.epoch > this.epoch && bar.close_no < this.seen;
  }

  /** True when the server counts anew, and the first numbers of the new count will not come. */
  isResetBy(missedFrom: number): boolean {
    return missedFrom === 1 && this.seen >= 1;
  }

  /** True when the bar comes from an owner that was not heard before. */
  isNewOwner(bar: Bar): boolean {
    return bar.epoch > this.epoch;
  }

  handleOpen(bar: Bar): void {
    this.epoch = Math.max(this.epoch, bar.epoch);
    this.handleKnown(bar.close_no);
  }

  handleClose(bar: Bar): void {
    this.handleOpen(bar);
    if (bar.close_no <= this.seen) return;
    if (this.run === null || bar.close_no > this.run.to + 1 || bar.close_no < this.run.from) {
      this.run = { from: bar.close_no, to: bar.close_no };
    } else if (bar.close_no === this.run.to + 1) {
      this.run.to = bar.close_no;
    }
    this.join();
  }

  /** The server says that numbers up to this one exist. */
  handleKnown(closeNo: number): void {
    this.known = Math.max(this.known, closeNo);
  }

  /**
   * Counts what a fetch brought. `whole`: it covered every bar held. Otherwise false is returned,
   * and nothing counted, when the fetch leaves numbers unexplained: they may be amendments of bars
   * from before its start.
   */
  handleHistory(bars: readonly Bar[], whole: boolean): boolean {
    const closed = bars.filter((bar) => bar.closed);
    const newest = closed.reduce((max, bar) => Math.max(max, bar.close_no), 0);
    if (!whole && !this.explains(closed, newest)) return false;
    this.epoch = closed.reduce((max, bar) => Math.max(max, bar.epoch), this.epoch);
    this.handleKnown(newest);
    this.accept(newest);
    return true;
  }

  /** Everything up to the number has been read, or is older than what is held. */
  accept(closeNo: number): void {
    this.seen = Math.max(this.seen, closeNo);
    this.join();
  }

  private explains(closed: readonly Bar[], newest: number): boolean {
    const numbers = new Set(closed.map((bar) => bar.close_no).filter((number) => number > this.seen));
    for (let number = this.run?.from ?? 1; this.run !== null && number <= this.run.to && number <= newest; number += 1) {
      numbers.add(number);
    }
    return numbers.size >= newest - this.seen;
  }

  private join(): void {
    if (this.run === null || this.run.from > this.seen + 1) return;
    this.seen = Math.max(this.seen, this.run.to);
    this.run = null;
  }
}
