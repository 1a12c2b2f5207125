// The two pickers: instruments in a native list (which phones and screen readers know), intervals
// as a radio group.

import { closestInterval, type Instrument, type Selection } from "./selection.ts";
import { element } from "./view.ts";

/** Lets the person choose; never changes the selection by itself. */
export class Pickers {
  private readonly list = element<HTMLSelectElement>("symbol");
  private readonly group = element("intervals");
  private all: readonly Instrument[] = [];
  private selection: Selection | null = null;

  constructor(private readonly onPick: (selection: Selection) => void) {
    this.list.addEventListener("change", () => {
      const instrument = this.all[Number(this.list.value)];
      const interval = instrument === undefined ? undefined : closestInterval(instrument, this.selection?.interval ?? null);
      if (instrument !== undefined && interval !== undefined) this.onPick({ ...instrument, interval });
    });
    this.group.addEventListener("keydown", (event) => this.step(event));
  }

  show(all: readonly Instrument[], selection: Selection): void {
    this.fill(all);
    this.selection = selection;
    const index = all.findIndex((one) => this.isSelected(one));
    this.list.value = String(index);
    this.group.replaceChildren(...(all[index]?.intervals ?? []).map((interval) => this.button(interval, selection)));
  }

  private fill(all: readonly Instrument[]): void {
    if (this.all === all) return;
    this.all = all;
    const groups = new Map<string, HTMLOptGroupElement>();
    all.forEach(({ venue, symbol }, index) => {
      const group = groups.get(venue) ?? document.createElement("optgroup");
      group.label = venue;
      group.append(new Option(symbol, String(index)));
      groups.set(venue, group);
    });
    this.list.replaceChildren(...groups.values());
    this.list.disabled = all.length === 0;
  }

  private isSelected(one: Instrument): boolean {
    return one.venue === this.selection?.venue && one.symbol === this.selection.symbol;
  }

  private button(interval: string, selection: Selection): HTMLButtonElement {
    const button = document.createElement("button");
    const checked = interval === selection.interval;
    button.type = "button";
    button.textContent = interval;
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(checked));
    button.tabIndex = checked ? 0 : -1;
    button.addEventListener("click", () => this.onPick({ ...selection, interval }));
    return button;
  }

  /** Arrow keys move and choose, as in any radio group. */
  private step(event: KeyboardEvent): void {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined || this.selection === null) return;
    event.preventDefault();
    const buttons = [...this.group.querySelectorAll("button")];
    const at = buttons.findIndex((button) => button.getAttribute("aria-checked") === "true");
    const next = buttons[(at + by + buttons.length) % buttons.length]?.textContent;
    if (next === undefined || next === null) return;
    this.onPick({ ...this.selection, interval: next });
    this.group.querySelector<HTMLButtonElement>('[aria-checked="true"]')?.focus();
  }
}
