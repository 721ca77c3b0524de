/** The time by the stack's clock, once a second while the tab is visible. */

import { Cell } from "./cell.ts";
import { visible } from "./visibility.ts";

let offsetMs = 0;

export const now = new Cell(Date.now());

/** The stack's time in ms. */
export function stackTime(): number {
  return Date.now() + offsetMs;
}

/** Note the stack's time. A difference below a second is the answer's way here. */
export function noteStackTime(tsMs: number): void {
  const seen = tsMs - Date.now();
  offsetMs = Math.abs(seen) < 1000 ? 0 : seen;
}

/** How far this machine's clock is behind the stack's, in ms; 0 within a second. */
export function clockOffset(): number {
  return offsetMs;
}

/** Start the ticks. */
export function startClock(): void {
  let timer: ReturnType<typeof setInterval> | undefined;
  const follow = (): void => {
    clearInterval(timer);
    if (!visible.value) return;
    now.set(stackTime());
    timer = setInterval(() => now.set(stackTime()), 1000);
  };
  visible.watch(follow);
  follow();
}
