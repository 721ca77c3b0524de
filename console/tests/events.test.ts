import assert from "node:assert/strict";
import { test } from "node:test";
import { changedBy, EVENT_READS, MissedEvents } from "../src/model/events.ts";

const KINDS = ["decision", "order", "flip", "weights", "kill_switch", "parameters", "lock", "alert"];

test("each read that is not polled while events arrive is read after a kind of event", () => {
  const covered = new Set(KINDS.flatMap((kind) => changedBy(kind)));
  for (const path of EVENT_READS) assert.ok(covered.has(path), path);
});

test("a promotion is shown by its event", () => {
  assert.ok(changedBy("parameters").includes("/api/parameters/history"));
});

test("a kind that a later version adds repeats the list of decisions", () => {
  assert.ok(changedBy("something new").includes("/api/decisions"));
});

test("a stream continues after the last event that had an id", () => {
  const missed = new MissedEvents();
  assert.equal(missed.query(1000), "");
  missed.note("41", 2000);
  missed.note(undefined, 3000); // a heartbeat
  assert.equal(missed.query(4000), "?last_event_id=41");
});

test("after an hour away, and in another journal, a stream begins at the present", () => {
  const missed = new MissedEvents();
  missed.note("41", 1_000_000);
  assert.equal(missed.query(1_000_000 + 3_600_001), "");
  missed.note("42", 5_000_000);
  missed.forget();
  assert.equal(missed.query(5_000_001), "");
});
