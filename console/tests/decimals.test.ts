import assert from "node:assert/strict";
import { test } from "node:test";
import { figure, grouped, percent, signed, signOf, sum } from "../src/model/decimals.ts";

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
