/** The answer to "is it trading, and is the account safe", from everything that was read. */

import type { GetKillSwitchResponse, GetReadinessResponse, GetRiskLimitsResponse, GetStatusResponse } from "../../gen/api.ts";
import type { Failure } from "../api/failure.ts";

export type Tone = "good" | "caution" | "bad" | "unknown";

export interface Verdict {
  readonly tone: Tone;
  readonly title: string;
  readonly detail: string;
}

export interface Facts {
  readonly status?: GetStatusResponse;
  readonly killSwitch?: GetKillSwitchResponse;
  readonly readiness?: GetReadinessResponse;
  readonly limits?: GetRiskLimitsResponse;
  /** Instruments of which units are held; unset while that is not known. */
  readonly held?: ReadonlySet<string>;
  /** Why the newest status could not be read; unset after a good read. */
  readonly failure?: Failure;
}

/** One sentence. What can't be read is never called safe. */
export function verdictOf({ status, killSwitch, readiness, limits, held, failure }: Facts): Verdict {
  if (failure) return { tone: "unknown", title: "Unknown", detail: detailOf(failure) };
  if (!status?.modes) return { tone: "unknown", title: "Reading", detail: "The first answer has not come yet." };
  const tripped = trippedLimits(limits);
  if (status.modes.read_only) {
    return { tone: "caution", title: "Not trading", detail: "READ_ONLY: no order leaves, exits included." };
  }
  if (status.modes.kill_switch) {
    const why = killSwitch?.reason ? ` Reason: ${killSwitch.reason}.` : "";
    if (tripped.length) {
      return { tone: "bad", title: "Not trading: breaker", detail: `Tripped: ${tripped.join(", ")}. Exits go on.` };
    }
    return { tone: "caution", title: "Not trading: kill switch", detail: `No entry passes; exits go on.${why}` };
  }
  const broken = problems(status);
  if (broken.length) return { tone: "bad", title: "Impaired", detail: `${broken.join("; ")}.` };
  if (!readiness) {
    return { tone: "unknown", title: "Released", detail: "Entries may pass; whether they would is not known yet." };
  }
  const ready = readiness.readiness.filter((r) => r.ready).map((r) => r.instrument);
  const all = readiness.readiness.length;
  if (!ready.length) {
    return { tone: "caution", title: "Waiting", detail: `Released, and no entry would pass now in any of ${all} instruments.` };
  }
  const intro = `An entry would pass in ${ready.length} of ${all} instruments`;
  if (!held) return { tone: "good", title: "Trading", detail: `${intro}: ${namesOf(ready)}.` };
  const [further, fresh] = [ready.filter((name) => held.has(name)), ready.filter((name) => !held.has(name))];
  const words = [fresh.length ? `not held: ${namesOf(fresh)}` : "", further.length ? `held already: ${namesOf(further)}` : ""];
  return { tone: "good", title: "Trading", detail: `${intro}; ${words.filter(Boolean).join("; ")}.` };
}

function namesOf(names: readonly string[]): string {
  return names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
}

function detailOf(failure: Failure): string {
  if (failure.needsKey) return "Reading needs a key here. Positions may be open.";
  const what = failure.status ? `The stack answers ${failure.reason}.` : "The stack does not answer.";
  return `${what} Positions may be open.`;
}

/** Limits that tripped the breaker. */
export function trippedLimits(limits: GetRiskLimitsResponse | undefined): string[] {
  return (limits?.limits ?? []).filter((l) => l.state === "tripped").map((l) => l.limit.replaceAll("_", " "));
}

/** No part waits for the journal: without it history is missing, and trading goes on. */
const NOT_NEEDED_TO_TRADE = new Set(["journal"]);

/** What does not work, from the status alone. */
export function problems(status: GetStatusResponse): string[] {
  const found: string[] = [];
  const down = partsDown(status).filter((name) => !NOT_NEEDED_TO_TRADE.has(name));
  if (down.length) found.push(`not serving: ${down.join(", ")}`);
  if (status.broker && !status.broker.connected) found.push("the broker link is down");
  return found;
}

/** Parts that do not serve. */
export function partsDown(status: GetStatusResponse): string[] {
  return status.parts.filter((p) => p.state !== "PART_STATE_SERVING").map((p) => p.name);
}
