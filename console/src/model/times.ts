/** Times and ages as text. */

import type { Zone } from "../store/preferences.ts";

const NAMES: Record<Zone, string | undefined> = { UTC: "UTC", "New York": "America/New_York", local: undefined };
const formats = new Map<string, Intl.DateTimeFormat>();

/** Time of day, with the date where it is another day than `nowMs`. */
export function timeText(ms: number | undefined, zone: Zone, nowMs: number): string {
  if (ms === undefined || !Number.isFinite(ms)) return "–";
  const day = format(zone, "day").format(ms);
  const time = format(zone, "time").format(ms);
  return day === format(zone, "day").format(nowMs) ? time : `${day} ${time}`;
}

/** Date and time with seconds. */
export function fullTime(ms: number | undefined, zone: Zone): string {
  if (ms === undefined || !Number.isFinite(ms)) return "–";
  return `${format(zone, "date").format(ms)} ${format(zone, "time").format(ms)} ${zone}`;
}

/** How long ago or how long: `3 s`, `12 min`, `5 h`, `2 d`. */
export function duration(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 100 * 60) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

/** Milliseconds of a broker's time (RFC 3339, up to nine fractional digits). */
export function brokerTime(text: string): number | undefined {
  const ms = Date.parse(text.replace(/(\.\d{3})\d+/, "$1"));
  return Number.isNaN(ms) ? undefined : ms;
}

/** Seconds to add to a UTC time so that a chart, which knows no zones, shows the zone's clock. */
export function zoneShift(ms: number, zone: Zone): number {
  if (zone === "UTC") return 0;
  const parts = Object.fromEntries(format(zone, "parts").formatToParts(ms).map((p) => [p.type, Number(p.value)]));
  const clock = Date.UTC(
    parts["year"] ?? 0,
    (parts["month"] ?? 1) - 1,
    parts["day"],
    parts["hour"],
    parts["minute"],
    parts["second"],
  );
  return Math.round((clock - Math.floor(ms / 1000) * 1000) / 1000);
}

function format(zone: Zone, kind: "day" | "time" | "date" | "parts"): Intl.DateTimeFormat {
  const name = `${zone} ${kind}`;
  let found = formats.get(name);
  if (!found) {
    const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
    const options = {
      day: { weekday: "short", day: "numeric", month: "short" },
      date: { year: "numeric", month: "2-digit", day: "2-digit" },
      time,
      parts: { year: "numeric", month: "numeric", day: "numeric", ...time },
    } as const;
    const locale = kind === "date" ? "en-CA" : "en-GB";
    found = new Intl.DateTimeFormat(locale, { timeZone: NAMES[zone], ...options[kind] });
    formats.set(name, found);
  }
  return found;
}
