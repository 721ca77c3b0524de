/** Every read that views show, each at an interval that fits how fast it changes. */

import { useEffect } from "preact/hooks";
import type { Reads } from "../../gen/api.ts";
import { type Answer, type Query, read, urlOf } from "../api/client.ts";
import { keyChanges } from "../api/key.ts";
import { EVENT_READS } from "../model/events.ts";
import { Cell, useCell } from "./cell.ts";
import { noteStackTime } from "./clock.ts";
import { type Reading, Resource } from "./resource.ts";

const EVERY_MS = {
  "/api/status": 3_000,
  "/api/settings": 60_000,
  "/metrics": 15_000,
  "/api/kill-switch": 3_000,
  "/api/oanda/account": 5_000,
  "/api/oanda/positions": 5_000,
  "/api/oanda/open-trades": 5_000,
  "/api/oanda/pricing": 10_000,
  "/api/oanda/instruments": 300_000,
  "/api/pairs": 15_000,
  "/api/ranking/active": 5_000,
  "/api/coherence/status": 5_000,
  "/api/manifold/coeffs": 5_000,
  "/api/candles": 5_000,
  "/api/risk/allocation-status": 5_000,
  "/api/risk/budget": 5_000,
  "/api/risk/limits": 5_000,
  "/api/risk/locks": 5_000,
  "/api/trade/readiness": 5_000,
  "/api/parameters": 15_000,
  "/api/parameters/history": 15_000,
  "/api/journal/performance": 30_000,
  "/api/journal/costs": 30_000,
  "/api/journal/divergence": 300_000,
  "/api/journal/trades": 15_000,
  "/api/decisions": 5_000,
  "/api/decisions/{id}": 60_000,
} as const satisfies Partial<Record<keyof Reads, number>>;

export type Read = keyof typeof EVERY_MS;

/** Whether events arrive. The stream of them sets it. */
export const eventsOpen = new Cell(false);
/** A read whose changes are events is made again after this time all the same. */
const RECHECK_MS = 60_000;

interface Known {
  readonly path: Read;
  readonly resource: Resource<unknown>;
}

const known = new Map<string, Known>();
/** Queries name instruments; more than this many are not worth remembering. */
const MOST_RESOURCES = 200;

/** A read in a component, which repeats it while it is mounted. */
export function useRead<P extends Read>(path: P, query?: Query<P>): Reading<Answer<P>> {
  const resource = resourceOf(path, query);
  useEffect(() => resource.watch(), [resource]);
  return useCell(resource.cell);
}

/** Read these again now, if a view shows them: something was changed. */
export function refresh(...paths: Read[]): void {
  for (const { path, resource } of known.values()) {
    if (paths.includes(path)) resource.invalidate();
  }
}

function resourceOf<P extends Read>(path: P, query?: Query<P>): Resource<Answer<P>> {
  const url = urlOf(path, query);
  let found = known.get(url);
  if (!found) {
    if (known.size > MOST_RESOURCES) forgetUnwatched();
    found = { path, resource: new Resource<unknown>(() => fetchAndNote(path, query), () => intervalOf(path)) };
    known.set(url, found);
  }
  return found.resource as Resource<Answer<P>>;
}

function forgetUnwatched(): void {
  for (const [url, { resource }] of known) if (!resource.watched) known.delete(url);
}

function intervalOf(path: Read): number {
  return eventsOpen.value && EVENT_READS.includes(path) ? RECHECK_MS : EVERY_MS[path];
}

let engaged: boolean | undefined;

async function fetchAndNote<P extends Read>(path: P, query?: Query<P>): Promise<Answer<P>> {
  const answer = await read(path, query);
  if (path === "/api/status") noteStatus(answer as Answer<"/api/status">);
  return answer;
}

/** The kill switch is in the status too: a change is followed without waiting for the journal's event. */
function noteStatus({ ts_ms, modes }: Answer<"/api/status">): void {
  noteStackTime(ts_ms);
  if (modes && modes.kill_switch !== engaged) refresh("/api/kill-switch");
  engaged = modes?.kill_switch;
}

// A new key may open what was refused.
keyChanges.watch(() => refresh(...(Object.keys(EVERY_MS) as Read[])));
