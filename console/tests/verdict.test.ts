import assert from "node:assert/strict";
import { test } from "node:test";
import { Failure } from "../src/api/failure.ts";
import { type Facts, partsDown, problems, verdictOf } from "../src/model/verdict.ts";
import { limitOf } from "../src/model/limits.ts";
import { unknownOrders } from "../src/model/unknown_orders.ts";
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

test("what is held and what is not are named apart", () => {
  const readiness = { readiness: [one(true), { ...one(true), instrument: "GBP_USD" }] };
  const detail = (held: string[]): string => verdictOf(facts({ readiness, held: new Set(held) })).detail;
  assert.equal(detail(["EUR_USD"]), "An entry would pass in 2 of 2 instruments; not held: GBP_USD; held already: EUR_USD.");
  assert.equal(detail([]), "An entry would pass in 2 of 2 instruments; not held: EUR_USD, GBP_USD.");
  assert.match(verdictOf(facts({ readiness })).detail, /2 instruments: EUR_USD, GBP_USD/);
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

test("a share of NAV has two decimals, and its amount in the home currency", () => {
  const shown = limitOf(limit({ observed: 0.0438 }).limits[0] as RiskLimit, { nav: "100772.55", currency: "USD" });
  assert.equal(shown.value, "0.04 % of 2 %");
  assert.equal(shown.amount, "44.14 of 2 015.45 USD");
  const turnover = limitOf(limit({ limit: "turnover", unit: "NAVs", observed: 8.1 }).limits[0] as RiskLimit, undefined);
  assert.deepEqual([turnover.value, turnover.amount], ["8.1 of 2 NAVs", ""]);
  assert.match(limitOf(limit({ state: "unreadable" }).limits[0] as RiskLimit).value, /^unreadable of 2 %/);
});

test("an order is on its way for ten seconds, then its outcome is unknown", () => {
  const seen = new Map([["EUR_USD", 1_000]]);
  const of = (exposition: string, now: number): boolean | undefined =>
    unknownOrders(["EUR_USD"], exposition, seen, now)[0]?.onItsWay;
  assert.equal(of("", 10_000), true);
  assert.equal(of("", 11_000), false);
  assert.equal(of('sep_order_unknown_seconds{instrument="EUR_USD",service="guard"} 12.5', 1_000), false);
  assert.equal(of('sep_order_unknown_seconds{instrument="GBP_USD",service="guard"} 12.5', 1_000), true);
  const readiness = { readiness: [{ ...one(false), reasons: ["ORDER_UNKNOWN"] }] };
  assert.equal(noticesOf({ readiness, onTheirWay: new Set(["EUR_USD"]) })[0]?.tone, "caution");
  assert.equal(noticesOf({ readiness })[0]?.tone, "bad");
});

test("a journal that is away is said, and does not impair trading", () => {
  const away = status({ parts: [{ name: "journal", state: "PART_STATE_UNREACHABLE" }] });
  const readiness = { readiness: [one(true)] };
  assert.equal(verdictOf(facts({ status: away, readiness })).title, "Trading");
  assert.deepEqual(partsDown(away), ["journal"]);
  assert.match(noticesOf({ status: away })[0]?.text ?? "", /journal does not answer: history is missing/);
});
