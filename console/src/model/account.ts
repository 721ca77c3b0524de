/** Facts about the account. */

import type { GetPricingResponse, Position, Trade } from "../../gen/api.ts";
import { signOf, sum } from "./decimals.ts";

/** How many digits of the account an operator types to release the kill switch. */
export const CONFIRM_DIGITS = 4;

/** The account's last digits without dashes: `101-001-0000001-001` is `1001`. */
export function lastDigits(account: string): string {
  return account.replace(/\D/g, "").slice(-CONFIRM_DIGITS);
}

/** Whether what was typed are the account's last digits; dashes and spaces do not count. */
export function confirmsAccount(typed: string, account: string): boolean {
  const wanted = lastDigits(account);
  return wanted.length === CONFIRM_DIGITS && typed.replace(/[\s-]/g, "") === wanted;
}

export interface Held {
  readonly instrument: string;
  /** Signed; both sides of a hedged position are shown apart. */
  readonly units: string;
  readonly averagePrice: string;
  readonly unrealizedPl: string;
  readonly marginUsed: string;
  readonly trades: readonly Trade[];
  /** Whether the stack opened it: "managed", "by hand" or "both". */
  readonly origin: string;
  /** Managed trades that have no pending stop. */
  readonly unprotected: number;
  readonly quote?: { readonly bid: string; readonly ask: string; readonly tradeable: boolean };
}

/** Positions with their trades and quotes, by name. */
export function heldOf(
  positions: readonly Position[],
  trades: readonly Trade[],
  pricing: GetPricingResponse | undefined,
): Held[] {
  const quotes = new Map((pricing?.prices ?? []).map((p) => [p.instrument, p]));
  return positions
    .flatMap((position) => sidesOf(position, trades))
    .map((held) => ({ ...held, quote: quotes.get(held.instrument) }))
    .sort((a, b) => a.instrument.localeCompare(b.instrument));
}

/** Which side signed units are on, in words. */
export function sideOf(units: string): "long" | "short" {
  return signOf(units) < 0 ? "short" : "long";
}

/** Instruments of which units are held. */
export function heldNames(positions: readonly Position[]): Set<string> {
  return new Set(positions.flatMap((p) => sidesOf(p, [])).map((side) => side.instrument));
}

function sidesOf(position: Position, all: readonly Trade[]): Held[] {
  const both = [
    { units: position.long_units, price: position.long_average_price, sign: 1 },
    { units: position.short_units, price: position.short_average_price, sign: -1 },
  ].filter((side) => /[1-9]/.test(side.units));
  return both.map(({ units, price, sign }) => {
    const trades = all.filter(
      (t) => t.instrument === position.instrument && (t.current_units.startsWith("-") ? -1 : 1) === sign,
    );
    const one = both.length === 1;
    return {
      instrument: position.instrument,
      units,
      averagePrice: price,
      unrealizedPl: one ? position.unrealized_pl : sum(trades.map((t) => t.unrealized_pl)),
      marginUsed: one ? position.margin_used : sum(trades.map((t) => t.margin_used || "0")),
      trades,
      origin: originOf(trades),
      unprotected: trades.filter((t) => isManaged(t) && t.stop_loss_state !== "PENDING").length,
    };
  });
}

/** Whether this stack opened a trade: it tags what it opens. */
export function isManaged(trade: Trade): boolean {
  return trade.client_id !== "" || trade.client_tag !== "";
}

function originOf(trades: readonly Trade[]): string {
  const managed = trades.filter(isManaged).length;
  if (!trades.length) return "unknown";
  if (managed === trades.length) return "managed";
  return managed ? "both" : "by hand";
}
