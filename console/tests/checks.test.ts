import assert from "node:assert/strict";
import { test } from "node:test";
import { type Check, checkOf, checksByGroup } from "../src/model/checks.ts";
import { commonReasons, remedyText, whyRows } from "../src/model/why.ts";
import type { EntryCheck, RankedInstrument, Readiness } from "../gen/api.ts";

const check = (reason: string, passed: boolean, observed: string, allowed: string): EntryCheck => ({
  reason,
  passed,
  observed,
  allowed,
});

const readiness = (instrument: string, ...checks: EntryCheck[]): Readiness => ({
  instrument,
  ready: checks.every((c) => c.passed),
  reasons: checks.filter((c) => !c.passed).map((c) => c.reason),
  checks,
  direction: 1,
  parameters_digest: "",
  parameters_run: "",
});

test("a check below its floor says how much is short", () => {
  assert.equal(checkOf(check("COHERENCE_LOW", false, "0.52", ">= 0.55")).distance, "0.03 short");
  assert.equal(checkOf(check("SPREAD_WIDE", false, "4.20 bps", "<= 3.0 bps")).distance, "1.2 bps over");
  assert.equal(checkOf(check("SIGNAL_STALE", true, "100.0 s", "< 300 s")).distance, "200 s left");
});

test("a check without figures has no distance", () => {
  assert.equal(checkOf(check("KILL_SWITCH", false, "on", "off")).distance, "");
  assert.equal(checkOf(check("SIGNAL_STALE", false, "missing", "< 300 s")).distance, "");
  assert.equal(checkOf(check("NO_DIRECTION", false, "0", "1 or -1")).distance, "");
});

test("a reason of a newer guard is shown by its name", () => {
  const shown = checkOf(check("RISK_SOMETHING_NEW", false, "a", "b"));
  assert.equal(shown.title, "RISK_SOMETHING_NEW");
  assert.equal(shown.group, "limits");
});

test("checks are grouped and groups without one are left out", () => {
  const groups = checksByGroup(readiness("EUR_USD", check("KILL_SWITCH", true, "off", "off")));
  assert.deepEqual([...groups.keys()], ["controls"]);
});

test("rows are in the order of their names, however their checks come out", () => {
  const bad = check("COHERENCE_LOW", false, "0.5", ">= 0.55");
  const good = check("KILL_SWITCH", true, "off", "off");
  const rows = whyRows(
    [readiness("C_C", good), readiness("B_B", bad), readiness("A_A", bad, { ...bad, reason: "ENTROPY_HIGH" })],
    [],
  );
  assert.deepEqual(
    rows.map((r) => r.instrument),
    ["A_A", "B_B", "C_C"],
  );
  assert.deepEqual(rows[2]?.remedies, []);
  assert.deepEqual(rows[1]?.remedies, ["coherence rises (0.05 short)"]);
});

test("a closed gate fails the gate group with its reasons in words", () => {
  const ranked: RankedInstrument = {
    instrument: "A_A",
    selected: false,
    eligible: false,
    weight: 0,
    session: { open: true, active: [] },
    gate_reasons: ["PNL_LOW"],
  };
  const [row] = whyRows([readiness("A_A", check("NO_WEIGHT", true, "0.1", "> 0"))], [ranked]);
  assert.equal(row?.cells.get("gate")?.verdict, "fail");
  assert.deepEqual(row?.remedies, ["its gate opens, now closed: backtest profit below the floor"]);
});

test("an open gate without a weight is a matter of rank", () => {
  const ranked = { instrument: "A_A", eligible: true, score: 0.4, gate_reasons: [] } as unknown as RankedInstrument;
  const better = { ...ranked, instrument: "B_B", selected: true, score: 0.5 };
  const rows = [readiness("A_A", check("NO_WEIGHT", false, "missing", "> 0"))];
  assert.match(whyRows(rows, [ranked, better])[0]?.remedies[0] ?? "", /its gate is open; 1 selected scores higher/);
  assert.match(whyRows(rows, [])[0]?.remedies[0] ?? "", /its gate opens/);
});

test("nothing is said of a gate or a rank that the ranking does not say", () => {
  const rows = [readiness("A_A", check("NO_WEIGHT", false, "missing", "> 0"))];
  const ranked = (changes: object): RankedInstrument =>
    ({ instrument: "A_A", eligible: true, score: 0.4, gate_reasons: [], ...changes }) as unknown as RankedInstrument;
  const remedy = (...ranking: RankedInstrument[]): string => whyRows(rows, ranking)[0]?.remedies.join("; ") ?? "";
  assert.doesNotMatch(remedy(ranked({ eligible: false, gate_reasons: ["PNL_LOW"] })), /open[^s]|higher/);
  assert.doesNotMatch(remedy(ranked({}), ranked({ instrument: "B_B", selected: true, score: 0.3 })), /higher/);
  assert.match(remedy(ranked({ selected: true })), /its weight arrives/);
});

test("what does not fit into a row is counted", () => {
  assert.equal(remedyText(["a", "b", "c"]), "a; b; c");
  assert.equal(remedyText(["a", "b", "c", "d", "e"]), "a; b; c; and 2 more");
  assert.equal(remedyText([]), "");
});

test("a check that passes for want of something says what there is none of", () => {
  const shown = (reason: string, observed = "none"): string[] => {
    const { observed: seen, allowed } = checkOf(check(reason, observed === "none", observed, "none"));
    return [seen, allowed];
  };
  assert.deepEqual(shown("SECOND_WRITER"), ["no other writer", "no other writer"]);
  assert.deepEqual(shown("TRADE_UNREADABLE"), ["all readable", "all readable"]);
  assert.deepEqual(shown("STOP_MISSING", "41 lost"), ["41 lost", "no stop missing"]);
  assert.equal(checkOf(check("LOCKED_BY_HAND", true, "none", "no lock")).observed, "no lock");
});

test("a computed limit is shown with six digits, a price with all of its own", () => {
  const [row] = whyRows([readiness("A_A", check("STOP_TOO_CLOSE", true, "spread 0.020", "spread <= 0.0352251817537"))], []);
  const [shown] = row?.cells.get("signal")?.checks ?? [];
  assert.deepEqual([shown?.observed, shown?.allowed], ["spread 0.020", "spread ≤ 0.0352252"]);
});

test("a direction has its slope, the least slope and the distance, where the API gives them", () => {
  const ranked = { instrument: "A_A", slope_bps: -1.234, eligible: false, gate_reasons: [] } as unknown as RankedInstrument;
  const rows = [readiness("A_A", check("NO_DIRECTION", false, "0", "1 or -1"))];
  const least = [{ instrument: "A_A", values: { dir_threshold_bps: 2 } }];
  const shown = (...of: Parameters<typeof whyRows>): Check | undefined => whyRows(...of)[0]?.cells.get("signal")?.checks[0];
  const { observed, allowed, distance } = shown(rows, [ranked], least) ?? ({} as Check);
  assert.deepEqual([observed, allowed, distance], ["1.23 bps", "≥ 2 bps", "0.77 bps short"]);
  assert.equal(shown(rows, [ranked])?.observed, "0");
  assert.equal(shown(rows, [{ ...ranked, slope_bps: 3 }], least)?.observed, "0");
});

test("a group that was not reported is unknown, not passed", () => {
  const [row] = whyRows([readiness("A_A", check("KILL_SWITCH", true, "off", "off"))], []);
  assert.equal(row?.cells.get("margin")?.verdict, "unknown");
});

test("the commonest reasons come first", () => {
  const slow = check("SIGNAL_STALE", false, "9 s", "< 3 s");
  const wide = check("SPREAD_WIDE", false, "4 bps", "<= 3 bps");
  assert.deepEqual(commonReasons([readiness("A_A", slow), readiness("B_B", wide, slow)]), [
    { reason: "SIGNAL_STALE", count: 2 },
    { reason: "SPREAD_WIDE", count: 1 },
  ]);
});
