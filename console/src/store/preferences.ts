/** What the operator chose about the look; it is no secret and stays in this browser. */

import { Cell } from "./cell.ts";

export const ZONES = ["UTC", "New York", "local"] as const;
export const THEMES = ["system", "dark", "light"] as const;
export type Zone = (typeof ZONES)[number];
export type Theme = (typeof THEMES)[number];

export const zone = new Cell<Zone>("UTC");
export const theme = new Cell<Theme>("system");

/** The value after this one. */
function next<T>(values: readonly T[], value: T): T {
  return values[(values.indexOf(value) + 1) % values.length] as T;
}

/** Go on to the next zone, or theme. */
export function change(what: "zone" | "theme"): void {
  if (what === "zone") zone.set(next(ZONES, zone.value));
  else theme.set(next(THEMES, theme.value));
}

/** Read what was chosen before, and remember each change. */
export function startPreferences(): void {
  bind("sep.zone", zone, ZONES);
  bind("sep.theme", theme, THEMES);
  const show = (): void => {
    if (theme.value === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme.value;
  };
  theme.watch(show);
  show();
}

function bind<T extends string>(name: string, cell: Cell<T>, allowed: readonly T[]): void {
  try {
    const stored = localStorage.getItem(name);
    const known = allowed.find((value) => value === stored);
    if (known) cell.set(known);
    cell.watch((value) => localStorage.setItem(name, value));
  } catch {
    // Storage is forbidden: the choice lasts until the tab is closed.
  }
}
