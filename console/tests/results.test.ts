import assert from "node:assert/strict";
import { test } from "node:test";
import { costsOf, lastDays, navCurve, rangeOf, startOf, totalOf } from "../src/model/results.ts";
import type { CostGroup, CostParts, PerformanceDay } from "../gen/api.ts";

const DAY = 86_400_000;
const parts = (changes: Partial<CostParts> = {}): CostParts => ({
  signal: "5.5",
  half_spread: "-1.25",
  delay: "0.005",
  slippage: "-0.5",
  financing: "0",
  conversion: "-0.01",
  commission: "0",
  other: "0",
  ...changes,
});
const day = (end_ms: number, nav: string): PerformanceDay => ({
  date: "2026-03-10",
  end_ms,
  nav,
  pl: "1",
  transfers: "0",
  drawdown: 0,
});

test("costs are every part but the signal, exactly", () => {
  assert.equal(costsOf(parts()), "-1.755");
  assert.equal(costsOf(undefined), "");
});

test("groups add up to the last digit, and none to nothing", () => {
  const group = (net_pl: string): CostGroup => ({ group: "EUR_USD", trades: 2, net_pl, parts: parts() });
  const total = totalOf([group("0.1"), group("0.2")]);
  assert.equal(total?.net_pl, "0.3");
  assert.equal(total?.trades, 4);
  assert.equal(total?.parts?.half_spread, "-2.50");
  assert.equal(totalOf([]), undefined);
});

test("yesterday is the last whole day, and begins where the day before ended", () => {
  const { today, yesterday } = lastDays([day(DAY, "1"), day(2 * DAY, "2"), day(2.5 * DAY, "3")]);
  assert.deepEqual([yesterday?.day.nav, yesterday?.startMs], ["2", DAY]);
  assert.deepEqual([today?.day.nav, today?.startMs], ["3", 2 * DAY]);
});

test("a journal of one day has no yesterday", () => {
  const { today, yesterday } = lastDays([day(DAY, "1")]);
  assert.equal(yesterday, undefined);
  assert.equal(today?.startMs, 0);
  assert.deepEqual(lastDays([]), { today: undefined, yesterday: undefined });
});

test("the curve goes on from the days to what the tab saw, without running backwards", () => {
  const seen = [{ time: 250_000, value: 9 }];
  const times = navCurve([day(DAY, "1"), day(2 * DAY, "2"), day(3 * DAY, "3")], seen).map((p) => p.time);
  assert.deepEqual(times, [86_400, 172_800, 250_000]);
});

test("a range moves once a day, so that its answer is not read anew each second", () => {
  assert.equal(startOf(7, 30 * DAY + 5), startOf(7, 30 * DAY + 9999));
  assert.equal(startOf(undefined, 5), undefined);
  assert.equal(rangeOf("nonsense").name, "30d");
});
