/**
 * The live manifolds, while a view shows them. Each connection begins with the last manifold of every
 * instrument, so nothing needs to be resumed.
 */

import { useEffect } from "preact/hooks";
import type { Manifold } from "../../gen/api.ts";
import type { Event } from "../api/client.ts";
import { Failure } from "../api/failure.ts";
import { Cell, useCell } from "./cell.ts";
import { stackTime } from "./clock.ts";
import { Connection, type StreamState } from "./connection.ts";
import { Samples } from "./samples.ts";

const PATH = "/api/manifold/stream";
/** Views are drawn at most so often, whatever the rate of events. */
const DRAW_EVERY_MS = 500;

export interface Live {
  readonly state: StreamState;
  readonly manifolds: ReadonlyMap<string, Manifold>;
  /** When the last event arrived, in ms. */
  readonly at?: number;
  readonly failure?: Failure;
}

const live = new Cell<Live>({ state: "off", manifolds: new Map() });
/** What the stream sent of each instrument while a view showed it. */
export const samples = new Samples();

const manifolds = new Map<string, Manifold>();
let current: { readonly state: StreamState; readonly failure?: Failure } = { state: "off" };
let at: number | undefined;
let draw: ReturnType<typeof setTimeout> | undefined;

const connection = new Connection({
  url: () => PATH,
  take: (data) => take(JSON.parse(data) as Event<typeof PATH>),
  state: (state, failure) => {
    if (state === "live" && current.state === "live") return;
    current = { state, failure };
    publish();
  },
});

function take({ error, manifold }: Event<typeof PATH>): void {
  if (error) throw new Failure(error.reason, error.message, 0);
  at = stackTime();
  if (manifold) {
    manifolds.set(manifold.instrument, manifold);
    samples.add(manifold);
  }
  draw ??= setTimeout(publish, DRAW_EVERY_MS);
}

function publish(): void {
  clearTimeout(draw);
  draw = undefined;
  live.set({ ...current, manifolds: new Map(manifolds), at });
}

/** The live manifolds in a component, which keeps the stream open while it is mounted. */
export function useLive(): Live {
  useEffect(() => connection.want(), []);
  return useCell(live);
}

/** What the stream last sent, without keeping it open. */
export function useLastLive(): Live {
  return useCell(live);
}
