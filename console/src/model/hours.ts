/** Market hours as they are shown: instruments with the same hours are one line. */

import type { Pair } from "../../gen/api.ts";

export interface Hours {
  readonly instruments: readonly string[];
  /** One of them; the others are the same. */
  readonly pair: Pair;
}

/** Instruments by hours, closed ones first: they are the exception while a market is open. */
export function hoursOf(pairs: readonly Pair[]): Hours[] {
  const groups = new Map<string, Pair[]>();
  for (const pair of pairs) {
    const { open, session } = pair;
    const hours = JSON.stringify([open, session?.active, session?.closes_at_ms, session?.opens_at_ms]);
    groups.set(hours, [...(groups.get(hours) ?? []), pair]);
  }
  return [...groups.values()]
    .flatMap((group) => (group[0] ? [{ instruments: group.map((p) => p.instrument), pair: group[0] }] : []))
    .sort((a, b) => Number(a.pair.open) - Number(b.pair.open) || b.instruments.length - a.instruments.length);
}
