/**
 * Events that are remembered: flips of gates for the charts, changes of the kill switch for the audit.
 * Those of the stream, and once a tab those among the events before it. The API has no list of them, so
 * the past is as long as `PAST` events, and `FURTHER` more each time that an
 * operator asks.
 */

import { useEffect } from "preact/hooks";
import type { Event as Happened } from "../../gen/api.ts";
import { type Event, follow } from "../api/client.ts";
import { Cell, useCell } from "./cell.ts";

const PATH = "/api/events";
/** How many events before the first of this tab are looked at; about 300 bytes each. */
export const PAST = 1000;
export const FURTHER = 10_000;
const DEADLINE_MS = 30_000;
const MOST = 2000;

const KINDS = ["flip", "kill_switch"] as const;
type Kind = (typeof KINDS)[number];

type Remembered = Readonly<Record<Kind, Cell<readonly Happened[]>>>;

/** Oldest first. Each kind apart, so that many of one push none of the other out. */
const remembered: Remembered = { flip: new Cell<readonly Happened[]>([]), kill_switch: new Cell<readonly Happened[]>([]) };
/** Events before this one are of the past: the first that this tab had, or could have. */
const first = new Cell<number | undefined>(undefined);
/** The event up to which the past was looked at; 0 is the beginning. */
const reached = new Cell<number | undefined>(undefined);
let recalling = false;

/** Take one of the stream. */
export function noteEvent(event: Happened): void {
  if (first.value === undefined) first.set(Number(event.id));
  const kind = kindOf(event);
  if (kind) remembered[kind].set([...remembered[kind].value, event].slice(-MOST));
}

/** The stream goes on after this event, which is of the past if nothing came yet. */
export function noteHeartbeat(lastId: string): void {
  if (first.value === undefined) first.set(Number(lastId) + 1);
}

function kindOf(event: Happened): Kind | undefined {
  return KINDS.find((kind) => kind === event.kind);
}

export interface PastEvents {
  /** Of the whole stack, oldest first. */
  readonly events: readonly Happened[];
  /** Whether those from before this tab was opened can be among them: the stream says where the past ends. */
  readonly past: boolean;
  /** How many events from before this tab was opened were looked at. */
  readonly looked: number;
  /** Looks at more of the past; unset where there is none, or while it looks. */
  readonly further: (() => void) | undefined;
}

/** Events of a kind in a component, which looks for those of the past the first time. */
export function usePastEvents(kind: Kind): PastEvents {
  const from = useCell(first);
  const last = useCell(reached);
  useEffect(() => {
    if (from !== undefined && last === undefined) void recall(from, PAST);
  }, [from]);
  return {
    events: useCell(remembered[kind]),
    past: from !== undefined,
    looked: from === undefined || last === undefined ? 0 : from - 1 - last,
    further: last ? (): void => void recall(last + 1, FURTHER) : undefined,
  };
}

/** Look at so many events before one. */
async function recall(before: number, size: number): Promise<void> {
  if (recalling) return;
  recalling = true;
  const found: Happened[] = [];
  const after = Math.max(0, before - 1 - size);
  const url = `${PATH}?last_event_id=${after}`;
  let whole = false;
  try {
    for await (const data of follow(url, AbortSignal.timeout(DEADLINE_MS))) {
      const { event, heartbeat } = JSON.parse(data) as Event<typeof PATH>;
      const id = Number(event?.id ?? (heartbeat?.last_event_id || after));
      if (event && id < before && kindOf(event)) found.push(event);
      // Nothing may follow for long, and numbers may have gaps.
      whole = id >= before - 1;
      if (whole) break;
    }
  } catch {
    // The next view, or the operator, asks again for all of it.
  }
  recalling = false;
  if (!whole) return;
  reached.set(after);
  for (const kind of KINDS) {
    const older = found.filter((event) => event.kind === kind);
    if (older.length) remembered[kind].set([...older, ...remembered[kind].value]);
  }
}
