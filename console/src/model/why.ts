/** Why instruments do or do not trade: a line for each, and a sentence of what would have to happen. */

import type { ParametersInForce, RankedInstrument, Readiness, SessionState } from "../../gen/api.ts";
import { type Check, checksByGroup, GATE_REASONS, GROUPS, type Group } from "./checks.ts";

type Parameters = Pick<ParametersInForce, "instrument" | "values">;

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

/** How much of what would have to happen a row shows. */
const MOST_REMEDIES = 3;

const DIRECTIONS: Readonly<Record<string, string>> = { "1": "long", "-1": "short" };

/** One row an instrument, by name: a row stays where it is, however its checks change. */
export function whyRows(
  readiness: readonly Readiness[],
  ranking: readonly RankedInstrument[],
  parameters: readonly Parameters[] = [],
): Row[] {
  const ranked = new Map(ranking.map((r) => [r.instrument, r]));
  const slopes = new Map(parameters.map((p) => [p.instrument, p.values["dir_threshold_bps"]]));
  return readiness
    .map((r) => withSlope(r, ranked.get(r.instrument)?.slope_bps, slopes.get(r.instrument)))
    .map((r) => rowOf(r, ranked.get(r.instrument), ranking))
    .sort((a, b) => a.instrument.localeCompare(b.instrument));
}

/** The check of the direction with the slope and the least slope that is one, where both are known. */
function withSlope(readiness: Readiness, slope: number | undefined, least: number | undefined): Readiness {
  if (slope === undefined || least === undefined) return readiness;
  const size = Math.abs(slope);
  const checks = readiness.checks.map((check) => {
    // Signal and ranking are read apart; and while coherence falls, a steep slope is no direction either.
    if (check.reason !== "NO_DIRECTION" || check.passed !== size >= least) return check;
    return { ...check, observed: `${Number(size.toPrecision(3))} bps`, allowed: `>= ${least} bps` };
  });
  return { ...readiness, checks };
}

/** What would give it a weight, as far as the ranking says it. */
function weightRemedy(ranked: RankedInstrument | undefined, ranking: readonly RankedInstrument[]): string | undefined {
  if (!ranked?.eligible || ranked.gate_reasons.length) return undefined;
  if (ranked.selected) return "its weight arrives: the allocator has selected it";
  const above = ranking.filter((r) => r.selected && (r.score ?? 0) > (ranked.score ?? 0)).length;
  if (!above) return "the allocator selects it (its gate is open)";
  return `the allocator selects it (its gate is open; ${above} selected ${above === 1 ? "scores" : "score"} higher)`;
}

/** The first of what would have to happen, and how much more. */
export function remedyText(remedies: readonly string[]): string {
  const more = remedies.length - MOST_REMEDIES;
  return remedies.slice(0, MOST_REMEDIES).join("; ") + (more > 0 ? `; and ${more} more` : "");
}

function rowOf(
  readiness: Readiness,
  ranked: RankedInstrument | undefined,
  ranking: readonly RankedInstrument[],
): Row {
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
    remedies: remediesOf(failed, gateReasons, weightRemedy(ranked, ranking)),
  };
}

function cellOf(checks: readonly Check[]): Cell {
  if (!checks.length) return { verdict: "unknown", checks };
  const sorted = [...checks].sort((a, b) => Number(a.passed) - Number(b.passed));
  return { verdict: checks.every((c) => c.passed) ? "pass" : "fail", checks: sorted };
}

function remediesOf(failed: readonly Check[], gateReasons: readonly string[], weight: string | undefined): string[] {
  const found = failed
    .map((c) => (c.reason === "NO_WEIGHT" && weight ? { ...c, remedy: weight } : c))
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
