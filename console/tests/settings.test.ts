import assert from "node:assert/strict";
import { test } from "node:test";
import type { Setting } from "../gen/api.ts";
import { defaultText, settingsOf, valueText } from "../src/model/settings.ts";

const setting = (changes: Partial<Setting>): Setting => ({
  name: "ALLOC_TOP_K",
  value: "3",
  default: "3",
  services: ["allocator"],
  secret: false,
  changed: false,
  description: "How many are held.",
  ...changes,
});
const all = [setting({}), setting({ name: "KILL_SWITCH", value: "0", default: "1", changed: true, services: ["guard"] })];
const names = (text: string, whole = false): string[] => settingsOf(all, { text, all: whole }).map((s) => s.name);

test("what differs from its default is shown first, the rest on request", () => {
  assert.deepEqual(names(""), ["KILL_SWITCH"]);
  assert.deepEqual(names("", true), ["ALLOC_TOP_K", "KILL_SWITCH"]);
});

test("a search goes through names, services and descriptions of all", () => {
  assert.deepEqual(names("top_k"), ["ALLOC_TOP_K"]);
  assert.deepEqual(names("guard"), ["KILL_SWITCH"]);
  assert.deepEqual(names("HELD"), ["ALLOC_TOP_K", "KILL_SWITCH"]);
  assert.deepEqual(names("nothing"), []);
});

test("a secret is never shown, and an empty value is not a missing one", () => {
  assert.equal(valueText(setting({ secret: true, value: undefined, changed: true })), "set, not shown");
  assert.equal(valueText(setting({ value: undefined })), "not set");
  assert.equal(valueText(setting({ value: "" })), "empty");
  assert.equal(defaultText(setting({ default: undefined })), "none");
});
