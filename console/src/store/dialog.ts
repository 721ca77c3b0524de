/** Which dialog is open; at most one. */

import { Cell } from "./cell.ts";

export type Dialog =
  | { readonly kind: "engage" | "release" | "flatten" | "drain" | "reconcile" | "key" | "palette" | "help" | "terms" }
  | { readonly kind: "lock" | "unlock" | "fetch" | "close"; readonly instrument: string };

export const dialog = new Cell<Dialog | undefined>(undefined);

/** Open a dialog in place of the one that is open. */
export function openDialog(next: Dialog): void {
  dialog.set(next);
}

/** Close the open one. */
export function closeDialog(): void {
  dialog.set(undefined);
}
