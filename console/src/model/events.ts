/** Which reads an event changes, and where a stream of events continues. */

import type { Read } from "../store/readings.ts";

const DECISIONS = ["/api/decisions", "/api/decisions/{id}"] as const;

const CHANGES: Readonly<Record<string, readonly Read[]>> = {
  decision: DECISIONS,
  order: [
    ...DECISIONS,
    "/api/oanda/positions",
    "/api/oanda/open-trades",
    "/api/oanda/account",
    "/api/risk/budget",
    "/api/journal/trades",
    "/api/journal/costs",
  ],
  flip: ["/api/ranking/active", "/api/trade/readiness"],
  weights: ["/api/risk/allocation-status", "/api/ranking/active"],
  kill_switch: ["/api/kill-switch", "/api/status", "/api/trade/readiness"],
  parameters: ["/api/parameters", "/api/parameters/history"],
  lock: [...DECISIONS, "/api/risk/locks", "/api/risk/limits", "/api/trade/readiness"],
  alert: [...DECISIONS, "/api/kill-switch", "/api/status", "/api/risk/limits", "/api/risk/allocation-status"],
};

/** Reads whose every change is an event: they are not polled while events arrive. */
export const EVENT_READS: readonly Read[] = [...DECISIONS, "/api/kill-switch", "/api/risk/locks"];

/** Reads to repeat after an event; those of decisions for a kind that a later version adds. */
export function changedBy(kind: string): readonly Read[] {
  return CHANGES[kind] ?? DECISIONS;
}

/** After a longer absence everything is read anew, and old events would say nothing more. */
const RESUMED_WITHIN_MS = 3_600_000;

/** Remembers the last event, so that the next connection continues after it. */
export class MissedEvents {
  #last = "";
  #at = 0;

  /** Note that something arrived, with its id where it has one. */
  note(id: string | undefined, nowMs: number): void {
    this.#at = nowMs;
    if (id) this.#last = id;
  }

  /** Begin at the present. */
  forget(): void {
    this.#last = "";
  }

  /** The query of the next connection. */
  query(nowMs: number): string {
    if (nowMs - this.#at > RESUMED_WITHIN_MS) this.#last = "";
    return this.#last && `?last_event_id=${this.#last}`;
  }
}
