/**
 * Flips of gates for the charts: those of the stream of events, and once a tab those among the events
 * before it. The API has no list of flips, so the past is as long as `PAST` events.
 */

import { useEffect } from "preact/hooks";
import type { Event as Happened } from "../../gen/api.ts";
import { type Event, follow } from "../api/client.ts";
import { Cell, useCell } from "./cell.ts";

const PATH = "/api/events";
/** How many events before the first of this tab are looked at; about 300 bytes each. */
const PAST = 1000;
const DEADLINE_MS = 15_000;
const MOST = 2000;

/** Oldest first. */
const flips = new Cell<readonly Happened[]>([]);
/** The first event that this tab had. */
const first = new Cell<number | undefined>(undefined);
let recalled = false;

/** Take one of the stream. */
export function noteEvent(event: Happened): void {
  if (first.value === undefined) first.set(Number(event.id));
  if (event.kind === "flip") flips.set([...flips.value, event].slice(-MOST));
}

export interface Flips {
  /** Of all instruments, oldest first. */
  readonly flips: readonly Happened[];
  /** Whether those from before this tab was opened can be among them: its first event says where the past ends. */
  readonly past: boolean;
}

/** Flips of gates in a component, which looks for those of the past the first time. */
export function useFlips(): Flips {
  const from = useCell(first);
  useEffect(() => {
    if (from === undefined || recalled) return;
    recalled = true;
    void recall(from);
  }, [from]);
  return { flips: useCell(flips), past: from !== undefined };
}

async function recall(before: number): Promise<void> {
  const found: Happened[] = [];
  const url = `${PATH}?last_event_id=${Math.max(0, before - 1 - PAST)}`;
  try {
    for await (const data of follow(url, AbortSignal.timeout(DEADLINE_MS))) {
      const { event } = JSON.parse(data) as Event<typeof PATH>;
      if (event && Number(event.id) >= before) break;
      if (event?.kind === "flip") found.push(event);
    }
  } catch {
    recalled = found.length > 0; // The next chart asks again. What came is in order.
  }
  flips.set([...found, ...flips.value]);
}
