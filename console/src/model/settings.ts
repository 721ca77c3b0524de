/** Settings in force: which of them an operator asked for. */

import type { Setting } from "../../gen/api.ts";

export interface Search {
  /** Part of a name, a service or a description. */
  readonly text: string;
  /** Those with their default, too. */
  readonly all: boolean;
}

/** Settings that fit; without a text and `all`, those that differ from their default. */
export function settingsOf(settings: readonly Setting[], { text, all }: Search): Setting[] {
  const wanted = text.trim().toLowerCase();
  return settings.filter((s) => {
    if (wanted) return [s.name, s.description, ...s.services].some((t) => t.toLowerCase().includes(wanted));
    return all || s.changed;
  });
}

/** A value as it is shown. */
export function valueText({ secret, changed, value }: Setting): string {
  if (secret) return changed ? "set, not shown" : "not shown";
  if (value === undefined) return "not set";
  return value === "" ? "empty" : value;
}

/** A default as it is shown. */
export function defaultText({ secret, default: usual }: Setting): string {
  if (secret) return "–";
  if (usual === undefined) return "none";
  return usual === "" ? "empty" : usual;
}
