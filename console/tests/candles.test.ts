import assert from "node:assert/strict";
import { test } from "node:test";
import { barsOf, closedBars, fillsOf, gateFlipsOf, metricPoints } from "../src/model/candles.ts";
import { hasSessions } from "../src/model/sessions.ts";
import type { Candle, Event, JournalTrade, Trade } from "../gen/api.ts";

const ohlc = (o: string): { o: string; h: string; l: string; c: string } => ({ o, h: o, l: o, c: o });
const candles: Candle[] = [0, 5000, 10_000].map((ts_ms) => ({ ts_ms, bid: ohlc("1.0"), ask: ohlc("1.2"), volume: 1 }));
const trade = (open_time: string, initial_units: string): Trade => ({ open_time, initial_units }) as Trade;

test("mid is halfway between bid and ask", () => {
  assert.equal(barsOf(candles, "mid", "UTC")[0]?.open, 1.1);
  assert.equal(barsOf(candles, "bid", "UTC")[0]?.open, 1.0);
  assert.equal(barsOf(candles, "ask", "UTC")[0]?.open, 1.2);
});

test("a flip of the gate is drawn on its bar, and only that of the instrument", () => {
  const bars = barsOf(candles, "mid", "UTC");
  const flip = (ts_ms: number, gate: number, instrument = "EUR_USD"): Event =>
    ({ ts_ms, instrument, kind: "flip", data: JSON.stringify({ gate }) }) as Event;
  const flips = [flip(-5000, 1), flip(7000, 1), flip(8000, 0, "EUR_JPY"), flip(10_500, 0)];
  assert.deepEqual(gateFlipsOf("EUR_USD", flips, bars, "UTC"), [
    { time: 5, open: true },
    { time: 10, open: false },
  ]);
});

test("a fill is drawn on the bar that it was filled in, and not before the first", () => {
  const bars = barsOf(candles, "mid", "UTC");
  const open = [trade("1970-01-01T00:00:07.1Z", "-5"), trade("1969-12-31T23:59:59Z", "5")];
  assert.deepEqual(fillsOf(open, [], bars, "UTC"), [{ time: 5, buy: false, text: "sell" }]);
});

test("a trade of the journal has its entry and its exit, and is drawn once", () => {
  const bars = barsOf(candles, "mid", "UTC");
  const open = [{ ...trade("1970-01-01T00:00:05Z", "7"), id: "9" }];
  const past = { id: "9", units: "7", open_time: 5000, close_time: 11_000 } as JournalTrade;
  assert.deepEqual(fillsOf(open, [past], bars, "UTC"), [
    { time: 5, buy: true, text: "buy" },
    { time: 10, buy: false, text: "exit" },
  ]);
});

test("bars outside an instrument's sessions are shaded", () => {
  const at = (text: string): Candle => ({ ...(candles[0] as Candle), ts_ms: Date.parse(text) });
  const day = ["2026-03-10T03:00:00Z", "2026-03-10T09:00:00Z", "2026-03-14T12:00:00Z"].map(at);
  const hours = (instrument: string): number[] =>
    closedBars(instrument, day, "UTC").map((p) => new Date(p.time * 1000).getUTCHours());
  assert.deepEqual(hours("EUR_USD"), [3, 12]);
  assert.deepEqual(hours("EUR_JPY"), [12]); // Tokyo is open at 03:00, and nothing on a Saturday.
});

test("a market that is always open has no sessions to shade by", () => {
  assert.equal(hasSessions({ open: true, active: ["24x7"] }), false);
  assert.equal(hasSessions({ open: true, active: ["London"], closes_at_ms: 5 }), true);
  assert.equal(hasSessions({ open: false, active: [], opens_at_ms: 5 }), true);
  assert.equal(hasSessions(undefined), false);
});

test("metrics older than the first bar would stretch the time axis, and are left out", () => {
  const sample = { coherence: 0.5, stability: 1, entropy: 0, rupture: 0 };
  const points = metricPoints([], [{ time: 1, ...sample }, { time: 9, ...sample }], "coherence", 5, "UTC");
  assert.deepEqual(points, [{ time: 9, value: 0.5 }]);
});

test("metrics of complete windows are followed by live ones", () => {
  const metrics = { coherence: 0.4, stability: 1, entropy: 0, rupture: 0 };
  const windows = [{ ts_ms: 5000, metrics }, { ts_ms: 10_000, metrics }, { ts_ms: 15_000 }];
  const live = { ...metrics, coherence: 0.6 };
  const samples = [{ time: 5, ...live }, { time: 10, ...live }, { time: 15, ...live }];
  assert.deepEqual(metricPoints(windows, samples, "coherence", 5, "UTC"), [
    { time: 5, value: 0.4 },
    { time: 10, value: 0.4 },
    { time: 15, value: 0.6 },
  ]);
});
