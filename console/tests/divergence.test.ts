import assert from "node:assert/strict";
import { test } from "node:test";
import { daysOf } from "../src/model/divergence.ts";

const day = (name: string): object => ({
  day: name,
  live_net: "12.5000",
  replay_net: "13.0000",
  causes: [{ cause: "price", differences: 2, cash: "-0.5000" }],
});

test("days are shown newest first with their causes", () => {
  const days = daysOf({ days: [day("2026-11-25"), day("2026-11-26")] });
  assert.deepEqual(
    days?.map((d) => d.day),
    ["2026-11-26", "2026-11-25"],
  );
  assert.deepEqual(days?.[0]?.causes, [{ cause: "price", differences: 2, cash: "-0.5000" }]);
});

test("an answer in another form is not taken for a day without differences", () => {
  for (const answer of [null, [], {}, { days: {} }, { days: [{}] }, { days: [{ day: "2026-11-26" }] }]) {
    assert.equal(daysOf(answer), undefined);
  }
  assert.deepEqual(daysOf({ days: [] }), []);
});
