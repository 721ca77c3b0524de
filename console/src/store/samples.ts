/** A bounded memory of the live metrics of each instrument. */

import type { Manifold } from "../../gen/api.ts";

export interface Sample {
  /** Time of the price, in seconds. */
  readonly time: number;
  readonly coherence: number;
  readonly stability: number;
  readonly entropy: number;
  readonly rupture: number;
}

/** A quarter of an hour at one every five seconds: older ones come from the API, by complete windows. */
const MOST = 180;
const EVERY_S = 5;

export class Samples {
  readonly #byInstrument = new Map<string, Sample[]>();

  /** Remember one; within five seconds a newer one replaces it. */
  add({ instrument, ts_ms, metrics }: Manifold): void {
    if (!metrics) return;
    const time = Math.floor(ts_ms / 1000 / EVERY_S) * EVERY_S;
    let found = this.#byInstrument.get(instrument);
    if (!found) this.#byInstrument.set(instrument, (found = []));
    const last = found.at(-1);
    if (last && last.time > time) return;
    if (last?.time === time) found.pop();
    const { coherence, stability, entropy, rupture } = metrics;
    found.push({ time, coherence, stability, entropy, rupture });
    if (found.length > MOST) found.splice(0, found.length - MOST);
  }

  /** What is remembered of an instrument, oldest first. */
  of(instrument: string): readonly Sample[] {
    return this.#byInstrument.get(instrument) ?? [];
  }
}
