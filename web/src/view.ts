// The page's own elements: what is said in them comes from format.ts, when from app.ts.

import { pad } from "./decimal.ts";
import { change, direction, explain, rows, utc } from "./format.ts";
import { GLYPHS, type Marked } from "./marks.ts";
import { COMPLETENESS, type Bar, type Completeness } from "./protocol.ts";
import type { Selection } from "./selection.ts";
import type { StatusKind } from "./status.ts";

/** What lies over the chart when there is nothing to draw. */
export interface Overlay {
  readonly title: string;
  readonly text: string;
  readonly retry: boolean;
}

/** An element that the page is built with; a missing one is a broken build. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element "${id}"`);
  return found as T;
}

/** Sets text only where it differs: a live page would otherwise lay itself out at every bar. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Writes into the header, the readout, the legend and the overlay. */
export class View {
  private readonly values = new Map<string, HTMLElement>();
  private readonly counts = new Map<Completeness, HTMLElement>();

  constructor() {
    this.buildLegend();
  }

  showSelection(selection: Selection): void {
    setText(element("quote-symbol"), selection.symbol);
    setText(element("quote-venue"), `${selection.venue} · ${selection.interval}`);
  }

  /**
   * The last price, coloured by the last bar's way; `previous` is the close it is measured from.
   * Zeros fill it up to `digits`, as on the axis: a live price must not change its width.
   */
  showQuote(last: Bar | undefined, previous: Bar | undefined, digits: number): void {
    const from = previous?.close ?? last?.open;
    const way = last === undefined || from === undefined ? "flat" : direction(from, last.close);
    setText(element("quote-price"), last === undefined ? "–" : pad(last.close, digits));
    setText(element("quote-change"), last === undefined || from === undefined ? "" : change(from, last.close, digits));
    element("quote-change").title = previous === undefined ? "Since the bar opened" : "Against the close of the previous bar";
    setText(element("quote-time"), last === undefined ? "" : `${utc(last.event_time).slice(0, 19)} UTC`);
    element("quote-price").dataset["direction"] = way;
    element("quote-change").dataset["direction"] = way;
  }

  /** The readout of one bar: the one pointed at, or the newest. */
  showBar(bar: Bar | undefined, pointed: boolean): void {
    setText(element("details-title"), pointed ? "Selected bar" : "Newest bar");
    setText(element("details-note"), bar === undefined ? "" : explain(bar.completeness));
    for (const { label, value } of bar === undefined ? [] : rows(bar)) {
      const target = this.values.get(label) ?? this.addRow(label);
      setText(target, value);
      if (label === "Completeness") target.dataset["completeness"] = value;
    }
    element("details").hidden = bar === undefined;
  }

  showCounts(counts: Readonly<Record<Completeness, number>>): void {
    for (const kind of COMPLETENESS) {
      const target = this.counts.get(kind);
      if (target === undefined) continue;
      setText(target, String(counts[kind]));
      target.parentElement?.toggleAttribute("data-none", counts[kind] === 0);
    }
  }

  showOverlay(overlay: Overlay | null): void {
    element("overlay").hidden = overlay === null;
    if (overlay === null) return;
    setText(element("overlay-title"), overlay.title);
    setText(element("overlay-text"), overlay.text);
    element("retry").hidden = !overlay.retry;
  }

  showNotice(notice: string | null): void {
    element("notice").hidden = notice === null;
    setText(element("notice"), notice ?? "");
  }

  /** `more` changes every second, and is not read out. */
  showStatus(kind: StatusKind, text: string, more: string): void {
    element("status").dataset["kind"] = kind;
    setText(element("status-text"), text);
    setText(element("status-more"), more);
  }

  private addRow(label: string): HTMLElement {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    const value = document.createElement("dd");
    term.textContent = label;
    row.append(term, value);
    element("details").append(row);
    this.values.set(label, value);
    return value;
  }

  private buildLegend(): void {
    for (const kind of COMPLETENESS) {
      const item = document.createElement("li");
      item.title = explain(kind);
      if (kind !== "complete") item.append(glyph(kind));
      const count = document.createElement("b");
      item.append(count, ` ${kind}`);
      element("legend").append(item);
      this.counts.set(kind, count);
    }
  }
}

function glyph(kind: Marked): SVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "-1.2 -1.2 2.4 2.4");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", GLYPHS[kind]);
  path.setAttribute("class", `glyph-${kind}`);
  svg.append(path);
  return svg;
}
