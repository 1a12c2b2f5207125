// Dark and light: the system's choice until the person makes one, which is remembered.

export type Theme = "dark" | "light";

/** What the chart is drawn with; everything else takes its colours from the style sheet. */
export interface Palette {
  readonly text: string;
  readonly grid: string;
  readonly border: string;
  readonly surface: string;
  readonly crosshair: string;
  readonly up: string;
  readonly down: string;
  readonly quiet: string;
  readonly repaired: string;
  readonly gap: string;
  readonly unknown: string;
}

const KEY = "marketfeed.theme";

/** Puts the remembered choice on the page, and keeps the button and the listener up to date. */
export function setUpTheme(button: HTMLButtonElement, onChange: () => void): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = remembered();
  const apply = (): void => {
    if (chosen === null) delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = chosen;
    const now = chosen ?? (system.matches ? "dark" : "light");
    button.setAttribute("aria-label", now === "dark" ? "Switch to light colours" : "Switch to dark colours");
    button.dataset["shows"] = now;
    onChange();
  };
  button.addEventListener("click", () => {
    const now = chosen ?? (system.matches ? "dark" : "light");
    chosen = now === "dark" ? "light" : "dark";
    remember(chosen);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

/** The colours in force. */
export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    text: colour("muted"),
    grid: colour("grid"),
    border: colour("line"),
    surface: colour("surface"),
    crosshair: colour("crosshair"),
    up: colour("up"),
    down: colour("down"),
    quiet: colour("quiet"),
    repaired: colour("repaired"),
    gap: colour("gap"),
    unknown: colour("unknown"),
  };
}

// Storage may be refused (private windows, blocked site data): the choice then lasts for the visit.
function remembered(): Theme | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "dark" || value === "light" ? value : null;
  } catch {
    return null;
  }
}

function remember(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // See above.
  }
}
