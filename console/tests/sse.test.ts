import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser } from "../src/api/sse.ts";

test("an event that arrives in pieces is one event", () => {
  const parser = new EventParser();
  assert.deepEqual(parser.push('data: {"a"'), []);
  assert.deepEqual(parser.push(":1}\n"), []);
  assert.deepEqual(parser.push('\ndata: {"b":2}\n\n'), ['{"a":1}', '{"b":2}']);
});

test("several lines of data are one text, and comments are none", () => {
  assert.deepEqual(new EventParser().push(": hello\n\ndata: one\ndata:two\nid: 7\n\n"), ["one\ntwo"]);
});

test("Windows line ends are line ends", () => {
  assert.deepEqual(new EventParser().push("data: x\r\n\r\n"), ["x"]);
});
