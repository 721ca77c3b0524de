import assert from "node:assert/strict";
import { test } from "node:test";
import { confirmsAccount, heldNames, heldOf, lastDigits, sideOf } from "../src/model/account.ts";
import type { Position, Trade } from "../gen/api.ts";

const position = (changes: Partial<Position>): Position => ({
  instrument: "EUR_USD",
  long_units: "0",
  short_units: "0",
  long_average_price: "",
  short_average_price: "",
  unrealized_pl: "0",
  margin_used: "0",
  ...changes,
});

const trade = (changes: Partial<Trade>): Trade => ({
  id: "1",
  instrument: "EUR_USD",
  price: "1.1",
  current_units: "100",
  initial_units: "100",
  unrealized_pl: "1.5",
  open_time: "2026-11-27T01:11:12.446080611Z",
  client_id: "sep-1",
  client_tag: "sep",
  stop_loss_price: "1.0",
  take_profit_price: "1.2",
  stop_loss_state: "PENDING",
  take_profit_state: "PENDING",
  financing: "0",
  margin_used: "3",
  ...changes,
});

test("a release is confirmed by the last digits, with or without dashes", () => {
  assert.equal(lastDigits("101-001-0000001-001"), "1001");
  assert.equal(confirmsAccount("1-001", "101-001-0000001-001"), true);
  assert.equal(confirmsAccount("1002", "101-001-0000001-001"), false);
  assert.equal(confirmsAccount("", ""), false);
});

test("both sides of a hedged position are shown apart", () => {
  const held = heldOf(
    [position({ long_units: "100", short_units: "-40", unrealized_pl: "9" })],
    [trade({}), trade({ id: "2", current_units: "-40", unrealized_pl: "-0.5" })],
    undefined,
  );
  assert.deepEqual(
    held.map((h) => [h.units, h.unrealizedPl]),
    [
      ["100", "1.5"],
      ["-40", "-0.5"],
    ],
  );
});

test("a managed trade without a pending stop is counted, one by hand is not", () => {
  const hand = trade({ id: "2", client_id: "", client_tag: "", stop_loss_state: "" });
  const bare = trade({ id: "3", stop_loss_state: "" });
  const [held] = heldOf([position({ long_units: "300" })], [trade({}), hand, bare], undefined);
  assert.equal(held?.unprotected, 1);
  assert.equal(held?.origin, "both");
});

test("what is held is known by name and side, and a flat instrument is not held", () => {
  const flat = position({ instrument: "USD_JPY" });
  assert.deepEqual([...heldNames([position({ short_units: "-5" }), flat])], ["EUR_USD"]);
  assert.equal(sideOf("-5"), "short");
  assert.equal(sideOf("5"), "long");
});

test("a position without a trade has no known origin", () => {
  assert.equal(heldOf([position({ long_units: "5" })], [], undefined)[0]?.origin, "unknown");
});
