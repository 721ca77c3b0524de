/** Orders whose answer has not come, and for how long this tab has seen each of them so. */

import type { Readiness } from "../../gen/api.ts";
import { unknownOrders, type UnknownOrder } from "../model/unknown_orders.ts";
import { useCell } from "./cell.ts";
import { now } from "./clock.ts";

const firstSeen = new Map<string, number>();

/** By instrument. `exposition` has the guard's own ages; without it only what this tab saw counts. */
export function useUnknownOrders(readiness: readonly Readiness[], exposition = ""): UnknownOrder[] {
  const time = useCell(now);
  const names = readiness.filter((r) => r.reasons.includes("ORDER_UNKNOWN")).map((r) => r.instrument);
  for (const name of firstSeen.keys()) if (!names.includes(name)) firstSeen.delete(name);
  for (const name of names) if (!firstSeen.has(name)) firstSeen.set(name, time);
  return unknownOrders(names, exposition, firstSeen, time);
}
