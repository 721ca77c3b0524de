import assert from "node:assert/strict";
import { test } from "node:test";
import { brokerTime, duration, fullTime, timeText, zoneShift } from "../src/model/times.ts";

const SUMMER = Date.UTC(2026, 6, 1, 12, 30, 5);
const WINTER = Date.UTC(2026, 11, 1, 12, 30, 5);

test("New York follows daylight saving", () => {
  assert.equal(timeText(SUMMER, "New York", SUMMER), "08:30:05");
  assert.equal(timeText(WINTER, "New York", WINTER), "07:30:05");
  assert.equal(zoneShift(SUMMER, "New York"), -4 * 3600);
  assert.equal(zoneShift(WINTER, "New York"), -5 * 3600);
  assert.equal(zoneShift(WINTER, "UTC"), 0);
});

test("another day shows its date", () => {
  assert.match(timeText(SUMMER, "UTC", WINTER), /1 Jul/);
  assert.equal(fullTime(SUMMER, "UTC"), "2026-07-01 12:30:05 UTC");
});

test("a broker's nine digits are milliseconds", () => {
  assert.equal(brokerTime("2026-07-01T12:30:05.446080611Z"), SUMMER + 446);
  assert.equal(brokerTime("never"), undefined);
});

test("a duration is short and never negative", () => {
  assert.equal(duration(-4), "0 s");
  assert.equal(duration(99), "99 s");
  assert.equal(duration(600), "10 min");
  assert.equal(duration(7200), "2 h");
  assert.equal(duration(3 * 86_400), "3 d");
});

test("an unknown time is a dash", () => {
  assert.equal(timeText(undefined, "UTC", 0), "–");
});
