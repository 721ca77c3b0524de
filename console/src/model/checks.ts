/** Checks of an entry: their group, how far each is from passing, and what would have to happen. */

import type { EntryCheck, Readiness } from "../../gen/api.ts";

export const GROUPS = ["controls", "gate", "signal", "freshness", "session", "price", "margin", "limits", "account"] as const;
export type Group = (typeof GROUPS)[number];

interface Meaning {
  readonly group: Group;
  readonly title: string;
  /** What would have to happen for it to pass. */
  readonly remedy: string;
}

const meaning = (group: Group, title: string, remedy: string): Meaning => ({ group, title, remedy });

/** By reason, as the guard names it. A reason that is not here is shown as it is. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  KILL_SWITCH: meaning("controls", "Kill switch", "release the kill switch"),
  READ_ONLY: meaning("controls", "Read only", "restart the stack without READ_ONLY"),
  LIVE_TRADING_DISABLED: meaning("controls", "Orders allowed on this account", "set LIVE_TRADING_ENABLED=1 and restart"),
  BREAKER_TRIPPED: meaning("controls", "Breaker", "acknowledge the breaker with a release"),
  NO_WEIGHT: meaning("gate", "Weight", "its gate opens and the allocator selects it"),
  COHERENCE_LOW: meaning("signal", "Coherence", "coherence rises"),
  STABILITY_LOW: meaning("signal", "Stability", "stability rises"),
  RUPTURE_HIGH: meaning("signal", "Rupture", "rupture falls"),
  ENTROPY_HIGH: meaning("signal", "Entropy", "entropy falls"),
  NO_DIRECTION: meaning("signal", "Direction", "the slope grows until it has a direction"),
  STOP_TOO_CLOSE: meaning("signal", "Stop distance", "the spread narrows or volatility grows"),
  ENTRY_COOLDOWN: meaning("signal", "Entry cooldown", "the cooldown after the last exit passes"),
  SIGNAL_STALE: meaning("freshness", "Signal age", "the evaluator writes a new signal"),
  MANIFOLD_STALE: meaning("freshness", "Manifold age", "live prices arrive again"),
  PRICE_STALE: meaning("freshness", "Quote age", "the broker quotes again"),
  WEIGHTS_STALE: meaning("freshness", "Weights age", "evaluator and allocator publish again"),
  SESSION_CLOSED: meaning("session", "Session", "its session opens"),
  NEAR_CLOSE: meaning("session", "Time to close", "the next session opens"),
  SPREAD_WIDE: meaning("price", "Spread", "the spread narrows"),
  NOT_TRADEABLE: meaning("price", "Tradeable", "the broker allows trading in it"),
  RISK_REFERENCE_PRICE: meaning("price", "Price collar", "the quote comes back to its references"),
  MARGIN_GATE: meaning("margin", "Margin gate", "margin use falls below MARGIN_HYST_LOW"),
  RISK_UNREADABLE: meaning("limits", "Equity readable", "account and ledger can be read again"),
  RISK_TURNOVER: meaning("limits", "Turnover", "the next trading day begins at 17:00 New York"),
  RISK_ORDER_RATE: meaning("limits", "Entries an hour", "the lock ends, or entries of the last hour age out"),
  RISK_REJECTS: meaning("limits", "Equal refusals", "the lock ends, or someone lifts it"),
  RISK_STOP_OUTS: meaning("limits", "Stop-outs", "the lock ends, or someone lifts it"),
  RISK_FOREIGN_CLOSE: meaning("limits", "Foreign close", "someone lifts the lock"),
  RISK_LOSS_AT_STOP: meaning("limits", "Loss at the stop", "the stop comes closer, or NAV grows"),
  RISK_LEVERAGE: meaning("limits", "Leverage", "positions shrink"),
  RISK_CURRENCY: meaning("limits", "Currency exposure", "positions in that currency shrink"),
  LOCKED_BY_HAND: meaning("limits", "Lock by hand", "the lock ends, or someone lifts it"),
  BROKER_LINK: meaning("account", "Broker link", "the gateway reaches the broker again"),
  ORDER_UNKNOWN: meaning("account", "Unknown order", "the order's outcome is found in the ledger"),
  MANUAL_POSITION: meaning("account", "Position by hand", "the position by hand is closed, or PM_ADOPT_MANUAL=1"),
  ACCOUNT_KIND: meaning("account", "Account kind", "an account that this stack can trade"),
  VIEW_STALE: meaning("account", "Account view", "the broker's answer includes the newest transaction"),
  TRADE_UNREADABLE: meaning("account", "Trades readable", "the broker's trade can be read"),
  STOP_MISSING: meaning("account", "Stops in place", "each managed trade has its stop again"),
  SECOND_WRITER: meaning("account", "One writer", "the other stack on this account stops"),
  NOT_LISTED: meaning("account", "Listed", "the account has this instrument"),
};

/** Why a gate is closed, in words. */
export const GATE_REASONS: Readonly<Record<string, string>> = {
  COOLDOWN: "cooling down after four fails in a row",
  TRADES_LOW: "fewer trades in the backtest than the floor",
  CALMAR_LOW: "Calmar ratio below the floor",
  PNL_LOW: "backtest profit below the floor",
  PASSES_PENDING: "passes, but not often enough in a row yet",
  NO_DATA: "too few candles for a backtest",
  CANDLES_STALE: "candles are old",
  SPAN_INTEGRITY: "the backtest's spans do not add up",
  SESSION_CLOSED: "its session is closed",
  NEAR_CLOSE: "its session closes soon",
  PARAMETERS_NEW: "new parameters, not proven yet",
  BAD_PARAMETERS: "its parameters are invalid",
};

/** What a check that passes says in place of "none", which reads as the opposite beside its title. */
const NOTHING: Readonly<Record<string, string>> = {
  SECOND_WRITER: "no other writer",
  TRADE_UNREADABLE: "all readable",
  STOP_MISSING: "no stop missing",
  ORDER_UNKNOWN: "no unknown order",
  BREAKER_TRIPPED: "not tripped",
};

export interface Check {
  readonly reason: string;
  readonly group: Group;
  readonly title: string;
  readonly passed: boolean;
  readonly observed: string;
  readonly allowed: string;
  /** How far it is from passing, or how much is left, such as "0.03 short"; empty if not a number. */
  readonly distance: string;
  readonly remedy: string;
}

/** A check as it is shown. */
export function checkOf({ reason, passed, observed, allowed }: EntryCheck): Check {
  const known = MEANINGS[reason] ?? meaning(reason.startsWith("RISK_") ? "limits" : "account", reason, "");
  const seen = passed && observed === "none" ? (NOTHING[reason] ?? checkText(allowed)) : checkText(observed);
  const limit = allowed === "none" ? (NOTHING[reason] ?? allowed) : checkText(allowed);
  return { reason, passed, observed: seen, allowed: limit, ...known, distance: distance(passed, observed, allowed) };
}

/** A text whose computed numbers have six digits: a limit such as 0.03522518175372943 is no more exact. */
export function checkText(text: string): string {
  return text.replace(/[<>]=/g, (sign) => (sign === ">=" ? "≥" : "≤")).replace(/\d+\.\d{7,}/g, (number) => String(Number(Number(number).toPrecision(6))));
}

/** All checks of an instrument by group; groups without a check are left out. */
export function checksByGroup(readiness: Readiness): Map<Group, Check[]> {
  const found = new Map<Group, Check[]>();
  for (const group of GROUPS) found.set(group, []);
  for (const check of readiness.checks.map(checkOf)) found.get(check.group)?.push(check);
  return new Map([...found].filter(([, checks]) => checks.length));
}

/** The title of a reason. */
export function titleOf(reason: string): string {
  return MEANINGS[reason]?.title ?? reason;
}

function distance(passed: boolean, observed: string, allowed: string): string {
  const limit = /^(>=|<=|>|<) (-?[\d.]+)(.*)$/.exec(allowed);
  const value = /^(-?[\d.]+(?:e[+-]?\d+)?)/i.exec(observed);
  if (!limit || !value) return "";
  const off = Math.abs(Number(value[1]) - Number(limit[2]));
  if (!Number.isFinite(off)) return "";
  const unit = (limit[3] ?? "").trimEnd();
  const amount = `${Number(off.toPrecision(3))}${unit}`;
  if (passed) return `${amount} left`;
  return limit[1]?.startsWith(">") ? `${amount} short` : `${amount} over`;
}
