/** What the account earned and cost, from the journal's answers. */

import type { CostGroup, CostParts, PerformanceDay } from "../../gen/api.ts";
import { sum } from "./decimals.ts";

const DAY_MS = 86_400_000;

export const RANGES = [
  { name: "7d", title: "7 days", days: 7 },
  { name: "30d", title: "30 days", days: 30 },
  { name: "90d", title: "90 days", days: 90 },
  { name: "all", title: "All", days: undefined },
] as const;

export const GROUPS_BY = ["instrument", "hour", "session", "weekday"] as const;
export type GroupBy = (typeof GROUPS_BY)[number];

/** Parts of a result but the signal, in the order of the API. */
export const COST_PARTS = [
  "half_spread",
  "delay",
  "slippage",
  "financing",
  "conversion",
  "commission",
  "other",
] as const;

/** A range by its name; 30 days for one that is unknown. */
export function rangeOf(name: string | undefined): (typeof RANGES)[number] {
  return RANGES.find((r) => r.name === name) ?? RANGES[1];
}

/** Its start in ms as the API takes it; it moves once a day, so that one answer serves for a day. */
export function startOf(days: number | undefined, nowMs: number): string | undefined {
  return days === undefined ? undefined : String(Math.floor(nowMs / DAY_MS) * DAY_MS - days * DAY_MS);
}

/** What a group is called in a query; by instrument for one that is unknown. */
export function groupByOf(name: string | undefined): GroupBy {
  return GROUPS_BY.find((g) => g === name) ?? "instrument";
}

/** All parts but the signal together; a cost is negative. */
export function costsOf(parts: CostParts | undefined): string {
  return parts ? sum(COST_PARTS.map((part) => parts[part])) : "";
}

/** Groups added up to one, or undefined without any. */
export function totalOf(groups: readonly CostGroup[]): CostGroup | undefined {
  if (!groups.length) return undefined;
  const added = (part: keyof CostParts): string => sum(groups.map((g) => g.parts?.[part] ?? "0"));
  const parts = Object.fromEntries((["signal", ...COST_PARTS] as const).map((p) => [p, added(p)]));
  return {
    group: "Together",
    trades: groups.reduce((count, g) => count + g.trades, 0),
    net_pl: sum(groups.map((g) => g.net_pl)),
    parts: parts as unknown as CostParts,
  };
}

export interface ShownDay {
  readonly day: PerformanceDay;
  readonly startMs: number;
}

/**
 * The last whole trading day and the running one. The API's last day ends now, those before it at
 * 17:00 in New York.
 */
export function lastDays(days: readonly PerformanceDay[]): { today?: ShownDay; yesterday?: ShownDay } {
  const [before, yesterday, today] = [days.at(-3), days.at(-2), days.at(-1)];
  return {
    today: today && { day: today, startMs: yesterday?.end_ms ?? 0 },
    yesterday: yesterday && { day: yesterday, startMs: before?.end_ms ?? yesterday.end_ms - DAY_MS },
  };
}

export interface ChartPoint {
  /** Seconds. */
  readonly time: number;
  /** For drawing only. */
  readonly value: number;
}

/** One figure of each day, at the day's end. */
export function dayPoints(days: readonly PerformanceDay[], figure: "nav" | "pl" | "drawdown"): ChartPoint[] {
  return days.map((d) => ({ time: Math.floor(d.end_ms / 1000), value: Number(d[figure]) }));
}

/** NAV at the ends of whole days, then as this tab saw it. */
export function navCurve(days: readonly PerformanceDay[], seen: readonly ChartPoint[]): ChartPoint[] {
  const from = seen[0]?.time ?? Infinity;
  return [...dayPoints(days, "nav").filter((p) => p.time < from), ...seen];
}
