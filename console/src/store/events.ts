/**
 * What happens, over one connection for the whole tab: each event says which reads to repeat. It
 * continues after the last event that this tab had. While it is open, reads whose every change is an
 * event are not polled; while it is not, they are.
 */

import type { Event } from "../api/client.ts";
import { Failure } from "../api/failure.ts";
import { changedBy, EVENT_READS, MissedEvents } from "../model/events.ts";
import { Cell } from "./cell.ts";
import { stackTime } from "./clock.ts";
import { Connection, type StreamState } from "./connection.ts";
import { noteEvent, noteHeartbeat } from "./past_events.ts";
import { eventsOpen, type Read, refresh } from "./readings.ts";

const PATH = "/api/events";
/** Reads are repeated at most so often, whatever the rate of events. */
const REFRESH_EVERY_MS = 1000;

export interface Following {
  readonly state: StreamState;
  readonly failure?: Failure;
  /** When anything last arrived, a heartbeat included, in ms. */
  readonly at?: number;
  /** Events of this tab. */
  readonly count: number;
}

export const following = new Cell<Following>({ state: "off", count: 0 });

const missed = new MissedEvents();
let count = 0;
let at: number | undefined;
const due = new Set<Read>();
let timer: ReturnType<typeof setTimeout> | undefined;

const connection = new Connection({
  url: () => PATH + missed.query(stackTime()),
  take: (data) => take(JSON.parse(data) as Event<typeof PATH>),
  state: (state, failure) => {
    if (failure?.reason === "INVALID_ARGUMENT") missed.forget(); // Another journal: it has no such id.
    if (state !== following.value.state || failure) following.set({ state, failure, at, count });
    const open = state === "live";
    if (open === eventsOpen.value) return;
    eventsOpen.set(open);
    // What happened in between may not be among the events that follow.
    repeat(EVENT_READS);
  },
});

function take({ error, event, heartbeat }: Event<typeof PATH>): void {
  if (error) throw new Failure(error.reason, error.message, 0);
  at = stackTime();
  const last = heartbeat?.last_event_id;
  missed.note(event?.id ?? last, at);
  if (last) noteHeartbeat(last);
  if (event) {
    count += 1;
    noteEvent(event);
    repeat(changedBy(event.kind));
  }
}

function repeat(paths: readonly Read[]): void {
  for (const path of paths) due.add(path);
  timer ??= setTimeout(() => {
    timer = undefined;
    following.set({ ...following.value, at, count });
    refresh(...due);
    due.clear();
  }, REFRESH_EVERY_MS);
}

/** Open it for as long as the page lives. */
export function startEvents(): void {
  connection.want();
}
