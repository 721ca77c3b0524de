/** NAV as this tab has seen it. */

import { signOf } from "../model/decimals.ts";
import type { ChartPoint } from "../model/results.ts";

const MOST = 2000;
const points: ChartPoint[] = [];

/** Remember a NAV; the same second once. */
export function noteNav(atMs: number, nav: string): void {
  const time = Math.floor(atMs / 1000);
  if (signOf(nav) === 0 || (points.at(-1)?.time ?? 0) >= time) return;
  points.push({ time, value: Number(nav) });
  if (points.length > MOST) points.shift();
}

/** What was seen, oldest first. */
export function navPoints(): readonly ChartPoint[] {
  return points;
}
