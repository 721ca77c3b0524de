import assert from "node:assert/strict";
import { test } from "node:test";
import { beyondRecord, mainRecord, membersOf, repetition, sections, sideBySide, spanStart } from "../src/model/decisions.ts";
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

test("the record of a decision is not that of its order, and what a later API adds is shown", () => {
  const entry = (event: string): RecordedDecision => ({ event }) as RecordedDecision;
  const answer = { decisions: [entry("order"), entry("decision")], records: ["1", "2"], again: { matches: true } };
  assert.equal(mainRecord(answer as GetDecisionResponse), "2");
  assert.deepEqual([...beyondRecord(answer as GetDecisionResponse)], [["again.matches", "true"]]);
  assert.equal(mainRecord({ decisions: [], records: [] }), "{}");
});

test("a repeated refusal says how often and how long", () => {
  assert.equal(repetition({ count: 1, ts_ms: 0, last_ts_ms: 0 }), "");
  assert.equal(repetition({ count: 40, ts_ms: 0, last_ts_ms: 600_000 }), "40 times in 10 min");
});

test("a span moves once an hour", () => {
  assert.equal(spanStart(1, 7_200_001), spanStart(1, 7_300_000));
});
