// Checks the sources: `node scripts/check.mjs --openapi FILE`. First the types, against those made from
// the API's document, then the unit tests, which run in Node without a browser.

import { spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { OPTIONS, ROOT } from "./build.mjs";
import { typesOf } from "./types.mjs";

const { values } = parseArgs({ options: { openapi: { type: "string" } } });
if (!values.openapi) throw new Error("usage: check.mjs --openapi FILE");
await mkdir(join(ROOT, "gen"), { recursive: true });
await writeFile(join(ROOT, "gen/api.ts"), typesOf(JSON.parse(await readFile(values.openapi, "utf8"))));
run("node_modules/typescript/bin/tsc", "--noEmit");

const out = join(ROOT, "gen/tests");
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const tests = (await readdir(join(ROOT, "tests"))).filter((name) => name.endsWith(".test.ts"));
await build({
  ...OPTIONS,
  entryPoints: tests.map((name) => `tests/${name}`),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  platform: "node",
});
run("--test", "--test-reporter=dot", ...tests.map((name) => join(out, name.replace(/\.ts$/, ".mjs"))));

function run(...words) {
  const { status } = spawnSync(process.execPath, words, { cwd: ROOT, stdio: "inherit" });
  if (status) process.exit(status);
}
