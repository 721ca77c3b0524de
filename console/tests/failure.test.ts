import assert from "node:assert/strict";
import { test } from "node:test";
import { asFailure, failureOf, UNREACHABLE } from "../src/api/failure.ts";

const error = (reason: string): string =>
  JSON.stringify({ code: 7, message: "no", details: [{ "@type": "…/google.rpc.ErrorInfo", reason, domain: "sep" }] });

test("the stable reason of the API is used", () => {
  const failure = failureOf(503, error("STORE_UNAVAILABLE"));
  assert.equal(failure.reason, "STORE_UNAVAILABLE");
  assert.equal(failure.message, "no");
  assert.equal(failure.needsKey, false);
});

test("an answer of something else keeps its status", () => {
  assert.equal(failureOf(502, "<html>bad gateway</html>").reason, "HTTP_502");
  assert.equal(failureOf(500, "null").reason, "HTTP_500");
});

test("a missing key, a wrong one and a read key ask for another key", () => {
  assert.equal(failureOf(401, error("MISSING_KEY")).needsKey, true);
  assert.equal(failureOf(401, error("WRONG_KEY")).needsKey, true);
  assert.equal(failureOf(403, error("READ_KEY_ONLY")).needsKey, true);
  assert.equal(failureOf(403, error("FOREIGN_ORIGIN")).needsKey, false);
});

test("a route that this version does not have means the part is absent", () => {
  assert.equal(failureOf(404, error("UNKNOWN_ROUTE")).absent, true);
  assert.equal(failureOf(404, error("UNKNOWN_INSTRUMENT")).absent, false);
});

test("no answer is never an answer", () => {
  assert.equal(asFailure(new TypeError("fetch failed")).reason, UNREACHABLE);
  assert.equal(asFailure(new DOMException("late", "TimeoutError")).reason, "TIMEOUT");
});
