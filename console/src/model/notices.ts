/** What needs an operator, each with the runbook's section for it. Prometheus holds the alerts. */

import type {
  GetAllocationStatusResponse,
  GetReadinessResponse,
  GetRiskLimitsResponse,
  GetStatusResponse,
  Lock,
} from "../../gen/api.ts";
import { duration } from "./times.ts";
import { trippedLimits } from "./verdict.ts";

export interface Notice {
  readonly tone: "bad" | "caution";
  readonly text: string;
  /** Section of docs/operations/runbook.md. */
  readonly runbook?: string;
}

export interface Sources {
  readonly status?: GetStatusResponse;
  readonly limits?: GetRiskLimitsResponse;
  readonly allocation?: GetAllocationStatusResponse;
  readonly readiness?: GetReadinessResponse;
  readonly locks?: readonly Lock[];
  /** Instruments whose order without an answer was sent a moment ago. */
  readonly onTheirWay?: ReadonlySet<string>;
}

/** Worst first. */
export function noticesOf(sources: Sources): Notice[] {
  const found = [...ofStatus(sources.status), ...ofLimits(sources), ...ofOrders(sources)];
  if (sources.allocation?.held) {
    found.push(caution(`weights are held: ${sources.allocation.held_reason}`, "SepWeightsHeld"));
  }
  return found.sort((a, b) => Number(b.tone === "bad") - Number(a.tone === "bad"));
}

function* ofStatus(status: GetStatusResponse | undefined): Generator<Notice> {
  if (!status) return;
  for (const part of status.parts) {
    if (part.state !== "PART_STATE_SERVING") {
      const how = part.state === "PART_STATE_UNREACHABLE" ? "does not answer" : "is not serving";
      const text = `${part.name} ${how}`;
      if (part.name === "journal") yield caution(`${text}: history is missing, trading goes on`);
      else yield bad(text, "SepServiceAway");
    }
  }
  const { broker } = status;
  if (broker && !broker.connected) {
    yield bad(`broker link down${broker.error ? `: ${broker.error}` : ""}`, "SepBrokerLinkDown");
  }
  for (const kind of broker?.unsupported_kinds ?? []) {
    yield bad(`the account can't be traded: ${kind}`, "SepAccountUnsupported");
  }
  if (broker?.left_out.length) {
    yield caution(`left out of the broker's answers: ${broker.left_out.join("; ")}`, "SepInstrumentLeftOut");
  }
  for (const value of status.freshness) {
    if (value.name.startsWith("signal:") || value.verdict === "fresh") continue;
    const age = value.age_seconds === undefined ? "" : ` (${duration(value.age_seconds)})`;
    yield caution(`${factName(value.name)} ${value.verdict}${age}`, runbookOf(value.name));
  }
  for (const fault of status.key_file_faults) yield caution(`key file ${fault.file}: ${fault.reason}`);
}

function* ofLimits({ limits, locks }: Sources): Generator<Notice> {
  for (const name of trippedLimits(limits)) yield bad(`the breaker stands because of ${name}`, "SepBreakerTripped");
  for (const limit of limits?.limits ?? []) {
    const name = limit.limit.replaceAll("_", " ");
    if (limit.state === "unreadable") yield bad(`limit ${name} can't be read`, "SepRiskHeadroomLow");
    else if (limit.state === "ok" && limit.headroom !== undefined && limit.headroom < 0.2) {
      yield caution(`limit ${name}: ${Math.round(limit.headroom * 100)} % left`, "SepRiskHeadroomLow");
    }
  }
  for (const lock of locks ?? []) {
    yield caution(`${lock.instrument} is locked (${lock.cause}): ${lock.reason}`, "SepInstrumentLocked");
  }
}

const ORDER_RUNBOOK: Readonly<Record<string, [text: string, section: string]>> = {
  ORDER_UNKNOWN: ["an order of unknown outcome", "SepOrderUnknown"],
  STOP_MISSING: ["a trade without its stop", "SepStopMissing"],
  SECOND_WRITER: ["another writer on this account", "SepSecondWriter"],
};

function* ofOrders({ readiness, onTheirWay }: Sources): Generator<Notice> {
  for (const [reason, [text, section]] of Object.entries(ORDER_RUNBOOK)) {
    const all = (readiness?.readiness ?? []).filter((r) => r.reasons.includes(reason)).map((r) => r.instrument);
    const young = reason === "ORDER_UNKNOWN" ? all.filter((name) => onTheirWay?.has(name)) : [];
    const names = all.filter((name) => !young.includes(name));
    if (names.length) yield bad(`${text}: ${names.join(", ")}`, section);
    if (young.length) yield caution(`an order is on its way: ${young.join(", ")}`);
  }
}

/** A fact's name in words: `gates_blob` is "gates blob", `signal:EUR_USD` is "signal of EUR_USD". */
export function factName(name: string): string {
  return name.includes(":") ? name.replace(":", " of ") : name.replaceAll("_", " ");
}

function runbookOf(name: string): string {
  return name === "gates_blob" ? "SepGatesBlobStale" : "SepWeightsHeld";
}

function bad(text: string, runbook?: string): Notice {
  return { tone: "bad", text, runbook };
}

function caution(text: string, runbook?: string): Notice {
  return { tone: "caution", text, runbook };
}
