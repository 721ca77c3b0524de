import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pair } from "../gen/api.ts";
import { hoursOf } from "../src/model/hours.ts";

function pair(instrument: string, open: boolean, closes: number): Pair {
  return { instrument, open, session: { open, active: ["London"], closes_at_ms: closes } } as unknown as Pair;
}

test("instruments with the same hours are one line, closed ones first", () => {
  const rows = hoursOf([pair("EUR_USD", true, 9), pair("GBP_USD", true, 9), pair("XAU_USD", true, 8), pair("USD_TRY", false, 0)]);
  assert.deepEqual(
    rows.map((r) => r.instruments.join()),
    ["USD_TRY", "EUR_USD,GBP_USD", "XAU_USD"],
  );
});
