import assert from "node:assert/strict";
import { test } from "node:test";
import { decimalsOf, figure, grouped, money, percent, signed, signedMoney, signOf, sum } from "../src/model/decimals.ts";

test("a decimal keeps every digit that the broker sent", () => {
  assert.equal(grouped("1234567.000000001"), "1 234 567.000000001");
  assert.equal(grouped("-1000.10"), "−1 000.10");
  assert.equal(grouped("999"), "999");
});

test("what is absent or no decimal is not shown as a number", () => {
  assert.equal(grouped(undefined), "–");
  assert.equal(grouped(""), "–");
  assert.equal(grouped("N/A"), "N/A");
});

test("a sign is in front of gains and losses alone", () => {
  assert.equal(signed("12.5"), "+12.5");
  assert.equal(signed("-0.0000"), "−0.0000");
  assert.equal(signOf("-0.0000"), 0);
  assert.equal(signOf("0.0001"), 1);
  assert.equal(signOf("-3"), -1);
});

test("a sum is exact where binary fractions are not", () => {
  assert.equal(sum(["0.1", "0.2"]), "0.3");
  assert.equal(sum(["-0.05", "0.02"]), "-0.03");
  assert.equal(sum(["9007199254740993", "0.0001"]), "9007199254740993.0001");
  assert.equal(sum([]), "0");
});

test("figures and shares that are not numbers are a dash", () => {
  assert.equal(percent(0.12345), "12.3 %");
  assert.equal(percent(-0.0022, 2), "−0.22 %");
  assert.equal(percent(Number.NaN), "–");
  assert.equal(figure(0.0000397123), "0.0000397");
  assert.equal(figure(undefined), "–");
});

test("an amount has the broker's four decimals, rounded half away from 0", () => {
  assert.equal(money("7712.6510467894449749400"), "7 712.6510");
  assert.equal(money("-0.12345"), "−0.1235");
  assert.equal(money("12"), "12.0000");
  assert.equal(money("999.99995"), "1 000.0000");
  assert.equal(signedMoney("0.00"), "0.0000");
  assert.equal(signedMoney("44.1"), "+44.1000");
  assert.equal(money(undefined), "–");
  assert.equal(money(""), "–");
  assert.equal(money("NaN"), "NaN");
});

test("a small amount is not shown as none", () => {
  assert.equal(money("0.000041"), "0.000041");
  assert.equal(money("-0.0000012345"), "−0.0000012");
  assert.equal(money("0.00005"), "0.0001");
  assert.equal(money("0.0000"), "0.0000");
});

test("amounts of a column have as many decimals as the smallest needs", () => {
  assert.equal(decimalsOf(["12.5", "0.000041", undefined]), 6);
  assert.equal(decimalsOf(["12.50", "0.00"]), 4);
  assert.equal(decimalsOf([]), 4);
  assert.equal(money("12.5", 6), "12.500000");
});
