/**
 * The operator's API key. It is held in memory, and in this tab's session storage if the operator
 * wants it to survive a reload. It is sent in a header alone, never in a URL.
 */

import { Cell } from "../store/cell.ts";

const NAME = "sep.key";

/** Where the key is: nowhere, in memory, or in this tab's session storage. */
export type KeyPlace = "none" | "memory" | "tab";

let key = "";

export const keyPlace = new Cell<KeyPlace>("none");
/** Counts the changes of the key, one for another included. */
export const keyChanges = new Cell(0);

/** The key; empty without one. */
export function currentKey(): string {
  return key;
}

/** Use a key from now on; an empty one forgets it. */
export function useNewKey(text: string, keepInTab: boolean): void {
  key = text.trim();
  storage()?.removeItem(NAME);
  if (key && keepInTab) storage()?.setItem(NAME, key);
  keyPlace.set(key ? (keepInTab ? "tab" : "memory") : "none");
  keyChanges.set(keyChanges.value + 1);
}

/** Read the key that this tab stored before a reload. */
export function restoreKey(): void {
  key = storage()?.getItem(NAME) ?? "";
  keyPlace.set(key ? "tab" : "none");
}

/** Whether a text could be a key: the API takes printable ASCII of 24 characters or more. */
export function keyFault(text: string): string {
  const trimmed = text.trim();
  if (trimmed.length < 24) return "a key has at least 24 characters";
  return /^[\x21-\x7e]+$/.test(trimmed) ? "" : "a key has no spaces and only ASCII characters";
}

function storage(): Storage | undefined {
  try {
    return globalThis.sessionStorage;
  } catch {
    return undefined; // The browser forbids it; memory is enough.
  }
}
