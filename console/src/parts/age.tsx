/** How old what is shown is. */

import type { JSX } from "preact";
import { duration, fullTime, timeText } from "../model/times.ts";
import { useCell } from "../store/cell.ts";
import { now } from "../store/clock.ts";
import { zone } from "../store/preferences.ts";

/** Age of an answer, read at `at` ms. */
export function Age({ at, stale }: { at: number | undefined; stale?: boolean }): JSX.Element {
  const time = useCell(now);
  const where = useCell(zone);
  if (at === undefined) return <span class="age">not read yet</span>;
  const text = duration((time - at) / 1000);
  return (
    <span class="age" title={fullTime(at, where)}>
      {stale ? `old: ${text}` : text} ago
    </span>
  );
}

/** A time in the operator's zone. */
export function Time({ ms }: { ms: number | undefined }): JSX.Element {
  const where = useCell(zone);
  const time = useCell(now);
  return <time title={fullTime(ms, where)}>{timeText(ms, where, time)}</time>;
}

/** How long until a time. */
export function Until({ ms }: { ms: number }): JSX.Element {
  const time = useCell(now);
  return <span>{duration((ms - time) / 1000)}</span>;
}
