/** Who changed what: kill switch, breaker, locks and parameters, in one list. */

import type { Event, GetKillSwitchResponse, ParameterChange, RecordedDecision } from "../../gen/api.ts";

/** Kinds of recorded risk events; each is a list of its own in the API. */
export const RISK_KINDS = ["LOCKED", "UNLOCKED", "BREAKER_TRIPPED", "BREAKER_ACKNOWLEDGED"] as const;
export type RiskKind = (typeof RISK_KINDS)[number];

const DEEDS: Readonly<Record<RiskKind, string>> = {
  LOCKED: "locked",
  UNLOCKED: "unlocked",
  BREAKER_TRIPPED: "breaker tripped",
  BREAKER_ACKNOWLEDGED: "breaker acknowledged",
};

export interface AuditEntry {
  readonly ms: number;
  readonly what: string;
  readonly why: string;
  /** Who did it; unset where the record says it, see `id`. */
  readonly who?: string;
  /** Id of its record. */
  readonly id?: string;
}

export interface AuditSources {
  readonly killSwitch: GetKillSwitchResponse | undefined;
  /** Changes of the kill switch among the events that are remembered. */
  readonly events: readonly Event[];
  readonly risk: readonly RecordedDecision[];
  readonly parameters: readonly ParameterChange[];
}

/** Every known change, newest first. */
export function auditOf({ killSwitch, events, risk, parameters }: AuditSources): AuditEntry[] {
  const switched = new Map<number, AuditEntry>();
  for (const { ts_ms, data } of events) switched.set(ts_ms, switchedOf(ts_ms, JSON.parse(data) as Switched));
  if (killSwitch?.ts_ms) switched.set(killSwitch.ts_ms, switchedOf(killSwitch.ts_ms, killSwitch));
  return [...switched.values(), ...risk.map(riskOf), ...parameters.map(parametersOf)].sort((a, b) => b.ms - a.ms);
}

type Switched = Pick<GetKillSwitchResponse, "kill_switch" | "actor" | "reason">;

function switchedOf(ms: number, { kill_switch, actor, reason }: Switched): AuditEntry {
  return { ms, what: `kill switch ${kill_switch ? "engaged" : "released"}`, who: actor || "the settings", why: reason };
}

function riskOf({ id, ts_ms, kind, instrument, reasons }: RecordedDecision): AuditEntry {
  const deed = DEEDS[kind as RiskKind] ?? kind;
  return { ms: ts_ms, what: [instrument, deed].filter(Boolean).join(" "), why: reasons.join("; "), id };
}

function parametersOf({ ts_ms, actor, reason, changed, ...change }: ParameterChange): AuditEntry {
  const of = changed.map((i) => i.instrument).join(", ");
  return { ms: ts_ms, what: `parameters of ${of}: ${parametersDeed(change)}`, who: actor, why: reason };
}

/** What a change of parameters did. */
export function parametersDeed({ run, forced_by, rolls_back }: Pick<ParameterChange, "run" | "forced_by" | "rolls_back">): string {
  if (rolls_back) return `took back ${rolls_back}`;
  return `promoted ${run || "by hand"}${forced_by ? `, forced against the verdict by ${forced_by}` : ""}`;
}
