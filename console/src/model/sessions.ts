/** Trading sessions by place, as the contract defines them, for shading a chart. */

import type { SessionState } from "../../gen/api.ts";

interface Session {
  readonly name: string;
  readonly zone: string;
  /** Hours of the local day, Monday to Friday. */
  readonly opens: number;
  readonly closes: number;
}

/** A test compares this with the stack's own table. */
export const SESSIONS: readonly Session[] = [
  { name: "Sydney", zone: "Australia/Sydney", opens: 7, closes: 16 },
  { name: "Tokyo", zone: "Asia/Tokyo", opens: 9, closes: 18 },
  { name: "London", zone: "Europe/London", opens: 8, closes: 17 },
  { name: "New York", zone: "America/New_York", opens: 8, closes: 17 },
];

const WEEKDAYS = new Set(["Mon", "Tue", "Wed", "Thu", "Fri"]);
const formats = new Map<string, Intl.DateTimeFormat>();

/** The sessions in which an instrument trades, by its currencies. */
export function sessionsOf(instrument: string): readonly Session[] {
  const tokyo = /JPY|AUD|NZD/.test(instrument);
  const sydney = /AUD|NZD/.test(instrument);
  return SESSIONS.filter(({ name }) => (name === "Tokyo" ? tokyo : name === "Sydney" ? sydney : true));
}

/** Whether sessions apply: a market that is always open closes at no time, and opens at none. */
export function hasSessions(state: SessionState | undefined): boolean {
  return state !== undefined && (state.closes_at_ms !== undefined || state.opens_at_ms !== undefined);
}

/** Names of an instrument's sessions that are in progress at a time. The week's breaks are not looked at. */
export function sessionsAt(instrument: string, ms: number): string[] {
  return sessionsOf(instrument)
    .filter((session) => inProgress(session, ms))
    .map((session) => session.name);
}

function inProgress({ zone, opens, closes }: Session, ms: number): boolean {
  let format = formats.get(zone);
  if (!format) {
    const options = { timeZone: zone, weekday: "short", hour: "2-digit", hourCycle: "h23" } as const;
    formats.set(zone, (format = new Intl.DateTimeFormat("en-GB", options)));
  }
  const parts = format.formatToParts(ms);
  const part = (type: string): string => parts.find((p) => p.type === type)?.value ?? "";
  const hour = Number(part("hour"));
  return WEEKDAYS.has(part("weekday")) && hour >= opens && hour < closes;
}
