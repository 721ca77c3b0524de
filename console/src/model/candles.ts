/** Candles and trades as a chart draws them. Numbers here are for drawing only. */

import type { Candle, Trade } from "../../gen/api.ts";
import type { Zone } from "../store/preferences.ts";
import type { Sample } from "../store/samples.ts";
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

export interface Entry {
  readonly time: number;
  readonly buy: boolean;
  readonly text: string;
}

/** Entries of open trades that lie within the bars, on the bar in which each was filled. */
export function entriesOf(trades: readonly Trade[], bars: readonly Bar[], zone: Zone): Entry[] {
  const found: Entry[] = [];
  for (const trade of trades) {
    const ms = brokerTime(trade.open_time);
    const time = ms === undefined ? undefined : shifted(ms, zone);
    const bar = time === undefined ? undefined : bars.findLast((b) => b.time <= time);
    if (bar) {
      const buy = !trade.initial_units.startsWith("-");
      found.push({ time: bar.time, buy, text: buy ? "buy" : "sell" });
    }
  }
  return found.sort((a, b) => a.time - b.time);
}

/** One metric's samples on the chart's clock; those older than the first bar are left out. */
export function metricPoints(
  samples: readonly Sample[],
  metric: (typeof METRICS)[number],
  fromS: number,
  zone: Zone,
): Point[] {
  return samples
    .map((s) => ({ time: shifted(s.time * 1000, zone), value: s[metric] }))
    .filter((p) => p.time >= fromS);
}

function shifted(ms: number, zone: Zone): number {
  return Math.floor(ms / 1000) + zoneShift(ms, zone);
}
