/** Orders without an answer: on their way for a few seconds, of unknown outcome after that. */

/** An answer that took longer is taken for lost, in seconds. */
const LOST_AFTER_S = 10;

export interface UnknownOrder {
  readonly instrument: string;
  /** Whether it was sent a moment ago. */
  readonly onItsWay: boolean;
}

const AGE = /^sep_order_unknown_seconds\{([^}]*)\} (\S+)/gm;

/** Instruments with such an order; the older of what the guard and this tab know is its age. */
export function unknownOrders(
  names: readonly string[],
  exposition: string,
  firstSeenMs: ReadonlyMap<string, number>,
  nowMs: number,
): UnknownOrder[] {
  const ages = new Map<string, number>();
  for (const [, labels = "", value] of exposition.matchAll(AGE)) {
    const instrument = /instrument="([^"]*)"/.exec(labels)?.[1] ?? "";
    ages.set(instrument, Math.max(ages.get(instrument) ?? 0, Number(value)));
  }
  return names.map((instrument) => {
    const seen = (nowMs - (firstSeenMs.get(instrument) ?? nowMs)) / 1000;
    return { instrument, onItsWay: Math.max(seen, ages.get(instrument) ?? 0) < LOST_AFTER_S };
  });
}
