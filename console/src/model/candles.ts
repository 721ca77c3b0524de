/** Candles and trades as a chart draws them. Numbers here are for drawing only. */

import type { Candle, Event, JournalTrade, Trade, WindowMetrics } from "../../gen/api.ts";
import type { Zone } from "../store/preferences.ts";
import type { Sample } from "../store/samples.ts";
import { sessionsAt } from "./sessions.ts";
import { brokerTime, zoneShift } from "./times.ts";

export const SIDES = ["mid", "bid", "ask"] as const;
export type Side = (typeof SIDES)[number];
export const METRICS = ["coherence", "stability", "entropy", "rupture"] as const;

export interface Bar {
  readonly time: number;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
}

export interface Point {
  readonly time: number;
  readonly value: number;
}

/** Bars of a side, oldest first. */
export function barsOf(candles: readonly Candle[], side: Side, zone: Zone): Bar[] {
  const price = ({ bid, ask }: Candle, part: "o" | "h" | "l" | "c"): number => {
    const [low, high] = [Number(bid?.[part]), Number(ask?.[part])];
    return side === "bid" ? low : side === "ask" ? high : (low + high) / 2;
  };
  return candles.map((c) => ({
    time: shifted(c.ts_ms, zone),
    open: price(c, "o"),
    high: price(c, "h"),
    low: price(c, "l"),
    close: price(c, "c"),
  }));
}

export interface Fill {
  readonly time: number;
  readonly buy: boolean;
  readonly text: string;
}

export interface GateFlip {
  readonly time: number;
  readonly open: boolean;
}

/** Flips of an instrument's gate, each on the bar in which it happened; older ones are left out. */
export function gateFlipsOf(instrument: string, flips: readonly Event[], bars: readonly Bar[], zone: Zone): GateFlip[] {
  return flips.flatMap((flip) => {
    if (flip.instrument !== instrument) return [];
    const time = shifted(flip.ts_ms, zone);
    const bar = bars.findLast((b) => b.time <= time);
    return bar ? [{ time: bar.time, open: gateOf(flip.data) }] : [];
  });
}

function gateOf(data: string): boolean {
  return (JSON.parse(data) as { gate?: number }).gate === 1;
}

/** Entries and exits of the journal's trades, and entries of open ones that it does not have yet. */
export function fillsOf(
  open: readonly Trade[],
  journal: readonly JournalTrade[],
  bars: readonly Bar[],
  zone: Zone,
): Fill[] {
  const found: Fill[] = [];
  const note = (ms: number | undefined, buy: boolean, text: string): void => {
    const time = ms === undefined ? undefined : shifted(ms, zone);
    // On the bar in which it was filled; what is older than the bars is left out.
    const bar = time === undefined ? undefined : bars.findLast((b) => b.time <= time);
    if (bar) found.push({ time: bar.time, buy, text });
  };
  const known = new Set(journal.map((t) => t.id));
  for (const trade of open) {
    const buy = !trade.initial_units.startsWith("-");
    if (!known.has(trade.id)) note(brokerTime(trade.open_time), buy, buy ? "buy" : "sell");
  }
  for (const trade of journal) {
    const buy = !trade.units.startsWith("-");
    note(trade.open_time, buy, buy ? "buy" : "sell");
    note(trade.close_time, !buy, "exit");
  }
  return found.sort((a, b) => a.time - b.time);
}

/** Bars in which none of the instrument's sessions was in progress, for shading. */
export function closedBars(instrument: string, candles: readonly Candle[], zone: Zone): Point[] {
  return candles
    .filter((c) => !sessionsAt(instrument, c.ts_ms).length)
    .map((c) => ({ time: shifted(c.ts_ms, zone), value: 1 }));
}

/**
 * One metric on the chart's clock: of complete windows on their last bars, then live ones. What is older
 * than the first bar is left out.
 */
export function metricPoints(
  windows: readonly WindowMetrics[],
  samples: readonly Sample[],
  metric: (typeof METRICS)[number],
  fromS: number,
  zone: Zone,
): Point[] {
  const complete = windows.flatMap(({ ts_ms, metrics }) =>
    metrics ? [{ time: shifted(ts_ms, zone), value: metrics[metric] }] : [],
  );
  const last = complete.at(-1)?.time ?? 0;
  const live = samples
    .map((s) => ({ time: shifted(s.time * 1000, zone), value: s[metric] }))
    .filter((p) => p.time > last);
  return [...complete, ...live].filter((p) => p.time >= fromS);
}

function shifted(ms: number, zone: Zone): number {
  return Math.floor(ms / 1000) + zoneShift(ms, zone);
}
