/** Recorded decisions as they are shown: every member of a record by its path, and two side by side. */

import type { GetDecisionResponse } from "../../gen/api.ts";
import { duration } from "./times.ts";

const HOUR_MS = 3_600_000;

export const KINDS = ["ENTRY", "REDUCTION", "REFUSAL", "ORDER", "DRAIN", "FLATTEN", "STOP", "LOCKED", "UNLOCKED", "BREAKER_TRIPPED", "BREAKER_ACKNOWLEDGED", "BASELINE_STARTED"] as const;

export const SPANS = [
  { name: "1h", title: "1 hour", hours: 1 },
  { name: "24h", title: "24 hours", hours: 24 },
  { name: "7d", title: "7 days", hours: 168 },
  { name: "all", title: "All", hours: undefined },
] as const;

/** A span by its name; a day for one that is unknown. */
export function spanOf(name: string | undefined): (typeof SPANS)[number] {
  return SPANS.find((s) => s.name === name) ?? SPANS[1];
}

/** Its start in ms as the API takes it; it moves once an hour, so that the list is not read anew each time. */
export function spanStart(hours: number | undefined, nowMs: number): string | undefined {
  return hours === undefined ? undefined : String(Math.floor(nowMs / HOUR_MS) * HOUR_MS - hours * HOUR_MS);
}

/** Members of a record by path, such as `market.quote.bid`. */
export type Members = ReadonlyMap<string, string>;

/** Every member of a JSON text; of a list, members are named by their reason, name or instrument. */
export function membersOf(text: string): Members {
  const found = new Map<string, string>();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return new Map([["record", text]]); // Shown as it is.
  }
  collect(found, "", value);
  return found;
}

function collect(found: Map<string, string>, path: string, value: unknown): void {
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== "object" || item === null)) {
      found.set(path, value.map(String).join(", ") || "none");
    } else value.forEach((item: unknown, index) => collect(found, `${path}.${nameOf(item) ?? index}`, item));
  } else if (typeof value === "object" && value !== null) {
    for (const [name, member] of Object.entries(value)) collect(found, path ? `${path}.${name}` : name, member);
  } else found.set(path, value === null || value === "" ? "none" : String(value));
}

function nameOf(item: unknown): string | undefined {
  if (typeof item !== "object" || item === null) return undefined;
  const members = item as Record<string, unknown>;
  const name = [members["reason"], members["name"], members["instrument"]].find((v) => typeof v === "string" && v);
  return name as string | undefined;
}

export interface Pair {
  readonly path: string;
  readonly left?: string;
  readonly right?: string;
  readonly differs: boolean;
}

export interface RecordedCheck {
  readonly reason: string;
  readonly passed: boolean;
  readonly observed: string;
  readonly allowed: string;
}

/** The checks of a recorded decision, failed ones first; none where the record has none. */
export function recordedChecks(text: string): RecordedCheck[] {
  let record: { action?: { checks?: unknown } };
  try {
    record = JSON.parse(text) as typeof record;
  } catch {
    return [];
  }
  const checks = Array.isArray(record.action?.checks) ? (record.action.checks as Array<Partial<RecordedCheck>>) : [];
  return checks
    .filter((c) => typeof c.reason === "string")
    .map((c) => ({
      reason: c.reason ?? "",
      passed: c.passed === true,
      observed: String(c.observed ?? ""),
      allowed: String(c.allowed ?? ""),
    }))
    .toSorted((a, b) => Number(a.passed) - Number(b.passed));
}

/** The time in ms that a member of a record holds: its name ends with ts or ms, and its value is a time of this age. */
export function timeOf(path: string, value: string): number | undefined {
  return /(^|[._])(ts|ms)$/.test(path) && /^1\d{12}$/.test(value) ? Number(value) : undefined;
}

const DEEDS: Readonly<Record<string, string>> = { REFUSAL: "refused", REDUCTION: "reduced" };

/** What was decided, such as "EUR_JPY refused". */
export function deedOf({ kind, instrument }: { kind: string; instrument: string }): string {
  return `${instrument || "account"} ${DEEDS[kind] ?? wordsOf(kind)}`;
}

/** Two records side by side: the paths of both, in the order of the left one. */
export function sideBySide(left: Members, right: Members): Pair[] {
  const paths = new Set([...left.keys(), ...right.keys()]);
  return [...paths].map((path) => {
    const [a, b] = [left.get(path), right.get(path)];
    return { path, left: a, right: b, differs: a !== b };
  });
}

/** Paths by their first member, those without one under "decision". */
export function sections<T extends { readonly path: string }>(rows: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const row of rows) {
    const dot = row.path.indexOf(".");
    const section = dot < 0 ? "decision" : row.path.slice(0, dot);
    found.set(section, [...(found.get(section) ?? []), row]);
  }
  return found;
}

/** One part of a decision that came out otherwise when it was made again. */
export interface Difference {
  readonly name: string;
  readonly recorded: string;
  readonly remade: string;
}

export interface MadeAgain {
  /** Unset where the record holds no decision, or it could not be made again. */
  readonly same?: boolean;
  readonly differences: readonly Difference[];
  /** Why it could not be made again. */
  readonly fault: string;
}

export interface Step {
  readonly step: string;
  readonly id: string;
  readonly ts_ms?: number;
}

interface Further {
  readonly made_again?: readonly MadeAgain[];
  readonly path?: readonly Step[];
}

/** The decision made again from its record; undefined where the stack's journal does not do that. */
export function madeAgain(answer: GetDecisionResponse): MadeAgain | undefined {
  return (answer as GetDecisionResponse & Further).made_again?.[mainIndex(answer)];
}

/** From the candle to the trade; empty where the stack's journal does not say. */
export function pathOf(answer: GetDecisionResponse): readonly Step[] {
  return (answer as GetDecisionResponse & Further).path ?? [];
}

/** The main record of an answer: the decision itself, else the first. */
export function mainRecord(answer: GetDecisionResponse): string {
  return answer.records[mainIndex(answer)] ?? "{}";
}

function mainIndex({ decisions }: GetDecisionResponse): number {
  return Math.max(
    0,
    decisions.findIndex((d) => d.event !== "order"),
  );
}

/** A name of the API in words: `TAKE_PROFIT_ORDER` is "take profit order". */
export function wordsOf(name: string): string {
  return name.toLowerCase().replaceAll("_", " ");
}

/** How often a refusal was repeated, such as "40 times in 10 min"; empty for a single one. */
export function repetition({ count, ts_ms, last_ts_ms }: { count: number; ts_ms: number; last_ts_ms: number }): string {
  return count > 1 ? `${count} times in ${duration((last_ts_ms - ts_ms) / 1000)}` : "";
}
