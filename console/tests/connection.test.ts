import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { Connection, makeWay, type StreamState } from "../src/store/connection.ts";

const open: ServerResponse[] = [];
const server = createServer((_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write('data: {"n":1}\n\n');
  open.push(response);
});
let base = "";

before(async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

/** A connection, and what it said so far. */
function follow(): { states: StreamState[]; asked: string[]; connection: Connection } {
  const states: StreamState[] = [];
  const asked: string[] = [];
  let seen = 0;
  const connection = new Connection(
    {
      url: () => {
        asked.push(`/events?after=${seen}`);
        return base + asked.at(-1);
      },
      take: (data) => (seen += (JSON.parse(data) as { n: number }).n),
      state: (state) => states.push(state),
    },
    50,
  );
  return { states, asked, connection };
}

async function eventually(holds: () => boolean): Promise<void> {
  const until = Date.now() + 30_000;
  while (!holds()) {
    assert.ok(Date.now() < until, "not in 30 s");
    await new Promise((done) => setTimeout(done, 10));
  }
}

test("a connection that breaks is opened again, and asks for what it has not had", async () => {
  const { states, asked, connection } = follow();
  const release = connection.want();
  await eventually(() => states.includes("live"));
  open.pop()?.end();
  await eventually(() => asked.length === 2 && states.at(-1) === "live");
  assert.deepEqual(asked, ["/events?after=0", "/events?after=1"]);
  assert.deepEqual(states, ["connecting", "live", "waiting", "connecting", "live"]);
  release();
  await eventually(() => states.at(-1) === "off");
});

test("two that want it share one connection, which outlives the first", async () => {
  const { states, asked, connection } = follow();
  const [first, second] = [connection.want(), connection.want()];
  await eventually(() => states.at(-1) === "live");
  first();
  await new Promise((done) => setTimeout(done, 200));
  assert.equal(states.at(-1), "live");
  assert.equal(asked.length, 1);
  second();
  await eventually(() => states.at(-1) === "off");
});

test("a connection makes way for an urgent call and comes back by itself", async () => {
  const { states, asked, connection } = follow();
  const release = connection.want();
  await eventually(() => states.at(-1) === "live");
  makeWay();
  assert.equal(states.at(-1), "off");
  await eventually(() => asked.length === 2 && states.at(-1) === "live");
  release();
  await eventually(() => states.at(-1) === "off");
});
