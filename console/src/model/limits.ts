/** Risk limits as they are shown. */

import type { RiskLimit } from "../../gen/api.ts";
import { figure } from "./decimals.ts";
import type { Tone } from "./verdict.ts";

const TITLES: Readonly<Record<string, string>> = {
  daily_loss: "Daily loss",
  drawdown: "Drawdown",
  turnover: "Turnover",
  order_rate: "Entries an hour",
  rejects: "Equal refusals",
  stop_outs: "Stop-outs today",
  loss_at_stop: "Loss at the stop",
  leverage: "Leverage",
  currency: "Currency exposure",
  reference_price: "Price collar",
};

/** Units of the API as a trader writes them; what the title says already is left out. */
const UNITS: Readonly<Record<string, string>> = {
  "percent of NAV": " % of NAV",
  "basis points": " bps",
  "entries an hour": "",
};

export interface ShownLimit {
  readonly name: string;
  readonly title: string;
  readonly value: string;
  /** Share of the limit that is used, 0 to 1; unset when it can't be read. */
  readonly used?: number;
  readonly tone: Tone;
  readonly state: string;
}

/** One limit. */
export function limitOf(limit: RiskLimit): ShownLimit {
  const subject = limit.subject && ` (${limit.subject})`;
  const observed = limit.observed === undefined ? "unreadable" : figure(limit.observed);
  return {
    name: limit.limit,
    title: TITLES[limit.limit] ?? limit.limit.replaceAll("_", " "),
    value: `${observed} of ${figure(limit.allowed)}${UNITS[limit.unit] ?? ` ${limit.unit}`}${subject}`,
    used: limit.headroom === undefined ? undefined : 1 - limit.headroom,
    tone: toneOf(limit),
    state: limit.state,
  };
}

function toneOf({ state, headroom }: RiskLimit): Tone {
  if (state === "tripped" || state === "reached") return "bad";
  if (state === "unreadable") return "unknown";
  if (state === "locked" || (headroom !== undefined && headroom < 0.2)) return "caution";
  return "good";
}
