/** Why instruments do or do not trade: a line for each, and a sentence of what would have to happen. */

import type { RankedInstrument, Readiness, SessionState } from "../../gen/api.ts";
import { type Check, checksByGroup, GATE_REASONS, GROUPS, type Group } from "./checks.ts";

export type Verdict = "pass" | "fail" | "unknown";

export interface Cell {
  readonly verdict: Verdict;
  /** Failed checks first. */
  readonly checks: readonly Check[];
}

export interface Row {
  readonly instrument: string;
  readonly ready: boolean;
  readonly direction: string;
  readonly failed: number;
  readonly cells: ReadonlyMap<Group, Cell>;
  readonly gateReasons: readonly string[];
  readonly score?: number;
  readonly session?: SessionState;
  /** What would have to happen; empty when ready. */
  readonly remedies: readonly string[];
}

const DIRECTIONS: Readonly<Record<string, string>> = { "1": "long", "-1": "short" };

/** Its gate is open, so that its rank alone keeps it from a weight. */
const RANKS_LOW = "the allocator selects it: its gate is open, others score higher";

/** One row an instrument, those that could enter first, then by the number of failed checks. */
export function whyRows(readiness: readonly Readiness[], ranking: readonly RankedInstrument[]): Row[] {
  const ranked = new Map(ranking.map((r) => [r.instrument, r]));
  return readiness
    .map((r) => rowOf(r, ranked.get(r.instrument)))
    .sort((a, b) => Number(b.ready) - Number(a.ready) || a.failed - b.failed || a.instrument.localeCompare(b.instrument));
}

function rowOf(readiness: Readiness, ranked: RankedInstrument | undefined): Row {
  const byGroup = checksByGroup(readiness);
  const cells = new Map<Group, Cell>();
  for (const group of GROUPS) cells.set(group, cellOf(byGroup.get(group) ?? []));
  const gateReasons = ranked?.gate_reasons ?? [];
  if (ranked && !ranked.eligible) {
    cells.set("gate", { verdict: "fail", checks: cells.get("gate")?.checks ?? [] });
  }
  const failed = [...byGroup.values()].flat().filter((c) => !c.passed);
  // A gate that closed a moment ago: the weight is still there, and no check of the guard fails yet.
  const gateAlone = cells.get("gate")?.verdict === "fail" && !failed.some((c) => c.reason === "NO_WEIGHT");
  return {
    instrument: readiness.instrument,
    ready: readiness.ready,
    direction: DIRECTIONS[readiness.direction] ?? "no direction",
    failed: failed.length + (gateAlone && !readiness.ready ? 1 : 0),
    cells,
    gateReasons,
    score: ranked?.score,
    session: ranked?.session,
    remedies: remediesOf(failed, gateReasons, ranked?.eligible === true),
  };
}

function cellOf(checks: readonly Check[]): Cell {
  if (!checks.length) return { verdict: "unknown", checks };
  const sorted = [...checks].sort((a, b) => Number(a.passed) - Number(b.passed));
  return { verdict: checks.every((c) => c.passed) ? "pass" : "fail", checks: sorted };
}

function remediesOf(failed: readonly Check[], gateReasons: readonly string[], gateOpen: boolean): string[] {
  const found = failed
    .map((c) => (c.reason === "NO_WEIGHT" && gateOpen ? { ...c, remedy: RANKS_LOW } : c))
    .filter((c) => c.remedy)
    .map((c) => (c.distance ? `${c.remedy} (${c.distance})` : c.remedy));
  const gate = gateReasons.map((r) => `its gate opens, now closed: ${GATE_REASONS[r] ?? r}`);
  return [...new Set([...found, ...gate])];
}

/** How many instruments each reason holds back, most first. */
export function commonReasons(readiness: readonly Readiness[]): Array<{ reason: string; count: number }> {
  const counts = new Map<string, number>();
  for (const reason of readiness.flatMap((r) => r.reasons)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count);
}
