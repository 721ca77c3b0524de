import assert from "node:assert/strict";
import { test } from "node:test";
import { barsOf, entriesOf, metricPoints } from "../src/model/candles.ts";
import type { Candle, Trade } from "../gen/api.ts";

const ohlc = (o: string): { o: string; h: string; l: string; c: string } => ({ o, h: o, l: o, c: o });
const candles: Candle[] = [0, 5000, 10_000].map((ts_ms) => ({ ts_ms, bid: ohlc("1.0"), ask: ohlc("1.2"), volume: 1 }));
const trade = (open_time: string, initial_units: string): Trade => ({ open_time, initial_units }) as Trade;

test("mid is halfway between bid and ask", () => {
  assert.equal(barsOf(candles, "mid", "UTC")[0]?.open, 1.1);
  assert.equal(barsOf(candles, "bid", "UTC")[0]?.open, 1.0);
  assert.equal(barsOf(candles, "ask", "UTC")[0]?.open, 1.2);
});

test("an entry is drawn on the bar that it was filled in, and not before the first", () => {
  const bars = barsOf(candles, "mid", "UTC");
  const entries = entriesOf(
    [trade("1970-01-01T00:00:07.1Z", "-5"), trade("1969-12-31T23:59:59Z", "5")],
    bars,
    "UTC",
  );
  assert.deepEqual(entries, [{ time: 5, buy: false, text: "sell" }]);
});

test("metrics older than the first bar would stretch the time axis, and are left out", () => {
  const sample = { coherence: 0.5, stability: 1, entropy: 0, rupture: 0 };
  const points = metricPoints([{ time: 1, ...sample }, { time: 9, ...sample }], "coherence", 5, "UTC");
  assert.deepEqual(points, [{ time: 9, value: 0.5 }]);
});
