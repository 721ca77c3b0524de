/** Keys that work in every view. */

import { linkTo, VIEWS } from "./model/route.ts";
import { dialog, openDialog } from "./store/dialog.ts";
import { change } from "./store/preferences.ts";

/** How long a `g` waits for the key of a view. */
const SEQUENCE_MS = 1500;

/** Listen for as long as the page lives. */
export function startKeyboard(): void {
  let goAt = -Infinity;
  document.addEventListener("keydown", (event) => {
    const { key } = event;
    if (event.altKey && !event.ctrlKey && !event.metaKey && key.toLowerCase() === "k") {
      event.preventDefault();
      openDialog({ kind: "engage" });
      return;
    }
    if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "k") {
      event.preventDefault();
      openDialog({ kind: "palette" });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isField(event.target)) return;
    // In a dialog only the kill switch: the rest belongs to the dialog.
    if (key === "k") {
      event.preventDefault();
      openDialog({ kind: "engage" });
    } else if (!dialog.value) {
      const goes = event.timeStamp - goAt < SEQUENCE_MS;
      goAt = key === "g" && !goes ? event.timeStamp : -Infinity;
      const view = goes ? VIEWS.find((v) => v.key === key) : undefined;
      if (view) location.hash = linkTo(view.name);
      else if (!goes) single(key, event);
    }
  });
}

function single(key: string, event: KeyboardEvent): void {
  if (key === "?") openDialog({ kind: "help" });
  else if (key === "/") openDialog({ kind: "palette" });
  else if (key === "z") change("zone");
  else if (key === "t") change("theme");
  else return;
  event.preventDefault();
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox]), select, textarea");
}
