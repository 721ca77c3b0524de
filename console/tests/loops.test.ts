import assert from "node:assert/strict";
import { test } from "node:test";
import { loopsOf } from "../src/model/loops.ts";

const TEXT = `# HELP sep_loop_lag_seconds How late the last tick started
# TYPE sep_loop_lag_seconds gauge
sep_loop_lag_seconds{loop="reconcile",service="guard"} 0.25
sep_loop_lag_seconds{loop="lease",service="allocator"} 0.0
sep_loop_last_success_timestamp_seconds{loop="reconcile",service="guard"} 1.7729784e+09
sep_loop_duration_seconds_bucket{le="0.005",loop="reconcile",service="guard"} 2.0
sep_loop_duration_seconds_count{loop="reconcile",service="guard"} 4.0
sep_loop_duration_seconds_sum{loop="reconcile",service="guard"} 0.2
sep_loop_failures_total{loop="price_stream",service="gateway"} 3.0
sep_grpc_requests_total{service="guard"} 9.0
`;

test("loops are in the order of their services, with what is known of each", () => {
  const unknown = { succeededMs: undefined, lag: undefined, mean: undefined, failures: 0 };
  assert.deepEqual(loopsOf(TEXT), [
    { ...unknown, service: "allocator", name: "lease", lag: 0 },
    { ...unknown, service: "gateway", name: "price_stream", failures: 3 },
    { service: "guard", name: "reconcile", succeededMs: 1_772_978_400_000, lag: 0.25, failures: 0, mean: 0.05 },
  ]);
  assert.deepEqual(loopsOf(""), []);
});
