import assert from "node:assert/strict";
import { test } from "node:test";
import { Failure } from "../src/api/failure.ts";
import { keyFault } from "../src/api/key.ts";
import { queryText, urlOf } from "../src/api/client.ts";
import { commandsFor, search } from "../src/model/commands.ts";
import { linkTo, parseRoute } from "../src/model/route.ts";
import { reconnectPause } from "../src/store/connection.ts";
import { pauseAfter, Resource } from "../src/store/resource.ts";
import { Samples } from "../src/store/samples.ts";

test("a failing read is repeated less and less often, half a minute at most", () => {
  assert.equal(pauseAfter(5000, 0, 0.9), 5000);
  assert.equal(pauseAfter(5000, 1, 0.5), 10_000);
  assert.ok(pauseAfter(5000, 50, 1) <= 37_500);
  assert.ok(pauseAfter(3000, 50, 0) >= 22_500);
});

test("a broken stream is opened again with growing pauses", () => {
  assert.ok(reconnectPause(0, 0) >= 250);
  assert.ok(reconnectPause(3, 0) > reconnectPause(0, 1));
  assert.ok(reconnectPause(1000, 1) <= 30_000);
});

test("the last answer stays when a later read fails", async () => {
  let answer: () => Promise<string> = () => Promise.resolve("good");
  const resource = new Resource(() => answer(), () => 1000);
  await resource.refresh();
  const { at } = resource.cell.value;
  answer = () => Promise.reject(new Failure("STORE_UNAVAILABLE", "down", 503));
  await resource.refresh();
  assert.equal(resource.cell.value.data, "good");
  assert.equal(resource.cell.value.at, at);
  assert.equal(resource.cell.value.failure?.reason, "STORE_UNAVAILABLE");
});

test("a read that is asked for during another is made after it", async () => {
  let calls = 0;
  const resource = new Resource(() => Promise.resolve((calls += 1)), () => 1000);
  const first = resource.refresh();
  await resource.refresh();
  await first;
  assert.equal(resource.cell.value.data, 2);
});

test("a change is read at once where it is shown, and else when it is shown next", async () => {
  let calls = 0;
  const resource = new Resource(() => Promise.resolve((calls += 1)), () => 60_000);
  resource.invalidate();
  assert.equal(calls, 0);
  resource.watch()();
  assert.equal(calls, 1);
  await Promise.resolve();
  resource.watch()();
  assert.equal(calls, 1);
  resource.invalidate();
  const stop = resource.watch();
  assert.equal(calls, 2);
  await Promise.resolve();
  resource.invalidate();
  assert.equal(calls, 3);
  stop();
});

test("samples are bounded, and a newer one of the same five seconds replaces", () => {
  const samples = new Samples();
  const metrics = { coherence: 0.5, stability: 1, entropy: 0, rupture: 0 };
  const add = (s: number, coherence: number): void =>
    samples.add({ instrument: "A_A", ts_ms: s * 1000, price: "1", metrics: { ...metrics, coherence } });
  add(10, 0.1);
  add(12, 0.2);
  assert.deepEqual(
    samples.of("A_A").map((s) => s.coherence),
    [0.2],
  );
  for (let s = 0; s < 20_000; s += 5) add(s, 0.3);
  assert.equal(samples.of("A_A").length, 180);
});

test("a link leads back to the route that it was made from", () => {
  const route = parseRoute(linkTo("why", "EUR_JPY", { only: "blocked" }));
  assert.deepEqual(route, { view: "why", part: "EUR_JPY", query: { only: "blocked" } });
  assert.equal(parseRoute("").view, "overview");
  assert.equal(parseRoute("#/nothing").view, "unknown");
  assert.equal(parseRoute("#/why/%E0%A4%A").part, "%E0%A4%A");
});

test("a key is refused before it is sent where it can't be one", () => {
  assert.equal(keyFault("a".repeat(24)), "");
  assert.notEqual(keyFault("short"), "");
  assert.notEqual(keyFault(`${"a".repeat(20)} ${"b".repeat(10)}`), "");
});

test("unset parameters are left out of a query and lists repeat their name", () => {
  assert.equal(queryText({ a: undefined, b: "", c: 1, d: ["x", "y"] }), "?c=1&d=x&d=y");
  assert.equal(queryText(undefined), "");
});

test("the palette finds an instrument by either of its names' halves", () => {
  const commands = commandsFor(["EUR_JPY", "USD_CHF"]);
  assert.equal(search(commands, "eur jpy")[0]?.title, "EUR_JPY");
  assert.equal(search(commands, "engage")[0]?.dialog, "engage");
  assert.deepEqual(search(commands, "nothing like it"), []);
});

test("a member of a path is filled in and escaped, and leaves the query", () => {
  assert.equal(urlOf("/api/decisions/{id}", { id: "a:b/c", full: true }), "/api/decisions/a%3Ab%2Fc?full=true");
});
