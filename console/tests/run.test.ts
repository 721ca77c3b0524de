import assert from "node:assert/strict";
import { test } from "node:test";
import { binsOf, parseRun, type Run, setText } from "../src/model/run.ts";

const VERDICT = {
  params: { c_min: 0.4, max_rupture: 0.6 },
  promote: false,
  reasons: ["PEAK"],
  trades: 12,
  out_return: 0.01,
  t: 2.5,
  sharpe: 0.2,
  p_value: null,
  null_quantile: null,
  deflated: 0.9,
  overfit: null,
  track_days: null,
  neighbours_t: null,
  doubled_costs: 0.001,
  gate_passes: 1,
  windows: 2,
  test_days: 8,
  reality_p: 0.01,
  low_return: 0.001,
  high_return: 0.02,
  recent_return: 0.002,
};
const summary = (changes: object = {}, verdict: object = {}): string =>
  JSON.stringify({
    format: 1,
    sets: 2,
    space: { c_min: [0.4, 0.5], max_rupture: [0.6] },
    adaptive: false,
    granularity: "M1",
    test_from: "2024-03-09T00:00:00Z",
    test_to: "2024-03-17T00:00:00Z",
    seed: 1,
    null_best: [1, null, 2],
    reasons: { PEAK: "its neighbours on the grid lose" },
    instruments: [
      {
        instrument: "EUR_USD",
        candles_sha256: "ab",
        bars: 100,
        params_digest: "cd",
        verdict: { ...VERDICT, ...verdict },
        folds: [{ test_from: "2024-03-09T00:00:00Z", test_to: "2024-03-13T00:00:00Z", chosen: null }],
        heatmaps: [],
      },
    ],
    ...changes,
  });

test("a summary is read, members that this console does not know included", () => {
  const run = parseRun(summary({ later: 1 }));
  assert.equal(run.instruments[0]?.verdict.t, 2.5);
  assert.equal(run.instruments[0]?.folds[0]?.chosen, null);
});

for (const [what, text, message] of [
  ["half of a file", summary().slice(0, 200), /no JSON: perhaps it was cut off/],
  ["another file", "[]", /its format is undefined, and this console reads 1/],
  ["a later format", summary({ format: 2 }), /its format is 2/],
  ["a missing member", summary({ sets: undefined }), /sets is missing, and must be a number/],
  ["a wrong member", summary({}, { trades: "12" }), /instruments\[0\]\.verdict\.trades is "12", and must be a number/],
  ["a wrong map", summary({ space: { c_min: [null] } }), /space\.c_min\[0\] is null, and must be a number/],
  ["no list", summary({ null_best: {} }), /null_best must be a list/],
  ["no object", summary({ instruments: [1] }), /instruments\[0\] must be an object/],
] as const) {
  test(`${what} is refused, with what is wrong`, () => {
    assert.throws(() => parseRun(text), { message });
  });
}

test("a set is named by what varied, and by everything where nothing did", () => {
  const run = parseRun(summary());
  assert.equal(setText(run, VERDICT.params), "c_min 0.4");
  assert.equal(setText({ ...run, space: { c_min: [0.4] } } as Run, VERDICT.params), "c_min 0.4");
});

test("each null run is in one bin, and so is the winner", () => {
  const bins = binsOf([0, 0.1, 1, null, 0.95], 2);
  assert.equal(bins.reduce((sum, b) => sum + b.runs, 0), 4);
  assert.deepEqual(bins.filter((b) => b.winner).map((b) => b.to), [2]);
  assert.equal(bins[0]?.runs, 2);
  assert.deepEqual(binsOf([1, 1, 1], 1).filter((b) => b.runs).length, 1);
  assert.deepEqual(binsOf([null], 1), []);
  assert.equal(binsOf([1, 2], null).some((b) => b.winner), false);
});
