import assert from "node:assert/strict";
import { test } from "node:test";
import { deedOf, type MadeAgain, madeAgain, mainRecord, membersOf, pathOf, recordedChecks, repetition, sections, sideBySide, spanStart, timeOf } from "../src/model/decisions.ts";
import type { GetDecisionResponse, RecordedDecision } from "../gen/api.ts";

const RECORD = JSON.stringify({
  id: "d1",
  action: { checks: [{ reason: "SPREAD_WIDE", passed: false, observed: "4.1" }], bounds: [] },
  reasons: ["SPREAD_WIDE", "NO_WEIGHT"],
  weight: null,
});

test("every member has a path, and a member of a list is named by its reason", () => {
  const members = membersOf(RECORD);
  assert.equal(members.get("action.checks.SPREAD_WIDE.observed"), "4.1");
  assert.equal(members.get("action.bounds"), "none");
  assert.equal(members.get("reasons"), "SPREAD_WIDE, NO_WEIGHT");
  assert.equal(members.get("weight"), "none");
});

test("a record that is no JSON is shown as it is", () => {
  assert.equal(membersOf("{half").get("record"), "{half");
});

test("two records show what only one of them has, and what differs", () => {
  const pairs = sideBySide(new Map([["a", "1"], ["b", "2"]]), new Map([["b", "3"], ["c", "4"]]));
  assert.deepEqual(pairs, [
    { path: "a", left: "1", right: undefined, differs: true },
    { path: "b", left: "2", right: "3", differs: true },
    { path: "c", left: undefined, right: "4", differs: true },
  ]);
});

test("members are grouped by their first name", () => {
  const found = sections([{ path: "id" }, { path: "action.kind" }, { path: "action.order" }]);
  assert.deepEqual([...found].map(([name, rows]) => [name, rows.length]), [["decision", 1], ["action", 2]]);
});

const entry = (event: string): RecordedDecision => ({ event }) as RecordedDecision;
const answered = (more: object): GetDecisionResponse => ({
  decisions: [entry("order"), entry("decision")],
  records: ["1", "2"],
  made_again: [],
  path: [],
  ...more,
});

test("the record of a decision is not that of its order", () => {
  assert.equal(mainRecord(answered({})), "2");
  assert.equal(mainRecord({ decisions: [], records: [], made_again: [], path: [] }), "{}");
});

test("a decision made again belongs to the same record, and an older journal has none", () => {
  const of = (same: boolean): MadeAgain => ({ same, differences: [], fault: "" });
  assert.equal(madeAgain(answered({ made_again: [of(false), of(true)] }))?.same, true);
  assert.equal(madeAgain(answered({})), undefined);
  assert.deepEqual(pathOf(answered({})), []);
});

test("a repeated refusal says how often and how long", () => {
  assert.equal(repetition({ count: 1, ts_ms: 0, last_ts_ms: 0 }), "");
  assert.equal(repetition({ count: 40, ts_ms: 0, last_ts_ms: 600_000 }), "40 times in 10 min");
});

test("checks of a record are listed with the failed ones first", () => {
  const text = JSON.stringify({
    action: {
      checks: [
        { reason: "KILL_SWITCH", passed: true, observed: "off", allowed: "off" },
        { reason: "SPREAD_WIDE", passed: false, observed: "4.10 bps", allowed: "<= 3.0 bps" },
      ],
    },
  });
  assert.deepEqual(
    recordedChecks(text).map((c) => [c.reason, c.passed]),
    [
      ["SPREAD_WIDE", false],
      ["KILL_SWITCH", true],
    ],
  );
  assert.deepEqual(recordedChecks("{half"), []);
  assert.deepEqual(recordedChecks('{"event": "risk"}'), []);
});

test("a member is a time by its name and its size", () => {
  assert.equal(timeOf("ts", "1773151200000"), 1773151200000);
  assert.equal(timeOf("market.manifold_ms", "1773151200000"), 1773151200000);
  assert.equal(timeOf("limits.timeout_ms", "5000"), undefined);
  assert.equal(timeOf("action.units", "1773151200000"), undefined);
});

test("a decision's title says what was done", () => {
  assert.equal(deedOf({ kind: "REFUSAL", instrument: "EUR_JPY" }), "EUR_JPY refused");
  assert.equal(deedOf({ kind: "BREAKER_TRIPPED", instrument: "" }), "account breaker tripped");
});

test("a span moves once an hour", () => {
  assert.equal(spanStart(1, 7_200_001), spanStart(1, 7_300_000));
});
