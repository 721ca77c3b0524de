import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event, GetKillSwitchResponse, ParameterChange, RecordedDecision } from "../gen/api.ts";
import { auditOf } from "../src/model/audit.ts";

const engaged = { kill_switch: true, reason: "lunch", actor: "ann" };
const event = { id: "7", ts_ms: 50, kind: "kill_switch", data: JSON.stringify(engaged) } as Event;
const locked = { id: "r1", ts_ms: 30, kind: "LOCKED", instrument: "EUR_USD", reasons: ["payrolls"] } as RecordedDecision;
const promoted = {
  ts_ms: 40,
  actor: "ben",
  reason: "passed",
  run: "m5",
  forced_by: "",
  rolls_back: "",
  changed: [{ instrument: "EUR_JPY" }],
} as unknown as ParameterChange;
const nothing = { killSwitch: undefined, events: [], risk: [], parameters: [] };

test("changes of every source are one list, newest first", () => {
  const rows = auditOf({ ...nothing, events: [event], risk: [locked], parameters: [promoted] });
  assert.deepEqual(
    rows.map((r) => [r.who, r.what, r.why]),
    [
      ["ann", "kill switch engaged", "lunch"],
      ["ben", "parameters of EUR_JPY: promoted m5", "passed"],
      [undefined, "EUR_USD locked", "payrolls"],
    ],
  );
});

test("the kill switch's last change is there without its event, and once with it", () => {
  const killSwitch = { ...engaged, ts_ms: 50 } as GetKillSwitchResponse;
  assert.equal(auditOf({ ...nothing, killSwitch }).length, 1);
  assert.equal(auditOf({ ...nothing, killSwitch, events: [event] }).length, 1);
});

test("a state of the settings has no change before the first one", () => {
  assert.deepEqual(auditOf({ ...nothing, killSwitch: { ...engaged, ts_ms: 0 } as GetKillSwitchResponse }), []);
});
