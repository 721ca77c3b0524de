import assert from "node:assert/strict";
import { test } from "node:test";
import { Failure } from "../src/api/failure.ts";
import { type Facts, partsDown, problems, verdictOf } from "../src/model/verdict.ts";
import { noticesOf } from "../src/model/notices.ts";
import type { GetRiskLimitsResponse, GetStatusResponse, Readiness, RiskLimit } from "../gen/api.ts";

const status = (changes: Partial<GetStatusResponse> = {}): GetStatusResponse => ({
  version: "1",
  ts_ms: 0,
  modes: { environment: "practice", live_trading_enabled: false, read_only: false, kill_switch: false },
  broker: { connected: true, error: "", left_out: [], unsupported_kinds: [] },
  freshness: [],
  leases: [],
  parts: [{ name: "guard", state: "PART_STATE_SERVING" }],
  key_file_faults: [],
  ...changes,
});

const engaged = status({
  modes: { environment: "practice", live_trading_enabled: false, read_only: false, kill_switch: true },
});

const limit = (changes: Partial<RiskLimit>): GetRiskLimitsResponse => ({
  limits: [{ limit: "daily_loss", allowed: 2, state: "ok", unit: "percent of NAV", subject: "", ...changes }],
});

const one = (ready: boolean): Readiness => ({ instrument: "EUR_USD", ready, reasons: [], checks: [], direction: 0, parameters_digest: "", parameters_run: "" });
const facts = (changes: Partial<Facts>): Facts => ({ status: status(), ...changes });

test("a stack that does not answer is unknown, whatever was read before", () => {
  const failure = new Failure("UNREACHABLE", "no answer", 0);
  const verdict = verdictOf(facts({ failure, readiness: { readiness: [one(true)] } }));
  assert.equal(verdict.tone, "unknown");
  assert.match(verdict.detail, /Positions may be open/);
});

test("a stack that wants a key is not called away", () => {
  assert.match(verdictOf(facts({ failure: new Failure("MISSING_KEY", "", 401) })).detail, /needs a key/);
});

test("it is trading only when an entry would pass", () => {
  assert.equal(verdictOf(facts({ readiness: { readiness: [one(true)] } })).title, "Trading");
  assert.equal(verdictOf(facts({ readiness: { readiness: [one(false)] } })).title, "Waiting");
  assert.equal(verdictOf(facts({})).tone, "unknown");
});

test("an engaged kill switch gives its reason", () => {
  const killSwitch = { kill_switch: true, reason: "lunch", actor: "alice" };
  assert.match(verdictOf(facts({ status: engaged, killSwitch })).detail, /lunch/);
});

test("a tripped breaker is worse than an engaged kill switch", () => {
  const verdict = verdictOf(facts({ status: engaged, limits: limit({ state: "tripped" }) }));
  assert.equal(verdict.tone, "bad");
  assert.match(verdict.detail, /daily loss/);
});

test("a part that is down is said even where entries would pass", () => {
  const broken = status({ parts: [{ name: "evaluator", state: "PART_STATE_UNREACHABLE" }] });
  const verdict = verdictOf(facts({ status: broken, readiness: { readiness: [one(true)] } }));
  assert.equal(verdict.title, "Impaired");
  assert.deepEqual(problems(broken), ["not serving: evaluator"]);
});

test("notices put the worst first and name the runbook", () => {
  const found = noticesOf({
    status: status({ broker: { connected: false, error: "timeout", left_out: [], unsupported_kinds: [] } }),
    limits: limit({ headroom: 0.1, observed: 1.8 }),
  });
  assert.deepEqual(
    found.map((n) => n.runbook),
    ["SepBrokerLinkDown", "SepRiskHeadroomLow"],
  );
});

test("a limit that can't be read is a notice, not a full headroom", () => {
  assert.equal(noticesOf({ limits: limit({ state: "unreadable" }) })[0]?.tone, "bad");
});

test("a journal that is away is said, and does not impair trading", () => {
  const away = status({ parts: [{ name: "journal", state: "PART_STATE_UNREACHABLE" }] });
  const readiness = { readiness: [one(true)] };
  assert.equal(verdictOf(facts({ status: away, readiness })).title, "Trading");
  assert.deepEqual(partsDown(away), ["journal"]);
  assert.match(noticesOf({ status: away })[0]?.text ?? "", /journal does not answer: history is missing/);
});
