/** Risk limits as they are shown. */

import type { RiskLimit } from "../../gen/api.ts";
import { figure, money } from "./decimals.ts";
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
  "basis points": " bps",
  "entries an hour": "",
};

export interface ShownLimit {
  readonly name: string;
  readonly title: string;
  readonly value: string;
  /** The same in the home currency; empty where it is no share of NAV, or NAV is not known. */
  readonly amount: string;
  /** Share of the limit that is used, 0 to 1; unset when it can't be read. */
  readonly used?: number;
  readonly tone: Tone;
  readonly state: string;
}

export interface Nav {
  readonly nav: string;
  readonly currency: string;
}

const PERCENT = "percent of NAV";

/** One limit. */
export function limitOf(limit: RiskLimit, of?: Nav): ShownLimit {
  const subject = limit.subject && ` (${limit.subject})`;
  return {
    name: limit.limit,
    title: TITLES[limit.limit] ?? limit.limit.replaceAll("_", " "),
    value: valueOf(limit) + subject,
    amount: of && limit.unit === PERCENT ? amountOf(limit, of) : "",
    used: limit.headroom === undefined ? undefined : 1 - limit.headroom,
    tone: toneOf(limit),
    state: limit.state,
  };
}

function valueOf({ observed, allowed, unit }: RiskLimit): string {
  if (unit === PERCENT) {
    return `${observed === undefined ? "unreadable" : `${money(plain(observed), 2)} %`} of ${figure(allowed)} %`;
  }
  return `${observed === undefined ? "unreadable" : figure(observed)} of ${figure(allowed)}${UNITS[unit] ?? ` ${unit}`}`;
}

function amountOf({ observed, allowed }: RiskLimit, { nav, currency }: Nav): string {
  const share = (percent: number): string => money(plain((percent / 100) * Number(nav)), 2);
  return observed === undefined ? "" : `${share(observed)} of ${share(allowed)} ${currency}`;
}

/** A number without an exponent, for rounding. */
function plain(value: number): string {
  return Number.isFinite(value) ? value.toFixed(8) : "";
}

function toneOf({ state, headroom }: RiskLimit): Tone {
  if (state === "tripped" || state === "reached") return "bad";
  if (state === "unreadable") return "unknown";
  if (state === "locked" || (headroom !== undefined && headroom < 0.2)) return "caution";
  return "good";
}
