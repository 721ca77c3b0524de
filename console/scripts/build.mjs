// Builds the console: `node scripts/build.mjs --out FOLDER`.
//
// Writes index.html, favicon.svg, the licences, and scripts and styles under assets/, whose names hold
// a hash of their content: a browser may cache them for ever. Types are not checked here.

import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { licences } from "./licences.mjs";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Options of every bundle. */
export const OPTIONS = {
  absWorkingDir: ROOT,
  bundle: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "warning",
};

async function main() {
  const { values } = parseArgs({ options: { out: { type: "string" } } });
  if (!values.out) throw new Error("usage: build.mjs --out FOLDER");
  await rm(values.out, { recursive: true, force: true });
  const { metafile } = await build({
    ...OPTIONS,
    entryPoints: ["src/main.tsx"],
    outdir: join(values.out, "assets"),
    splitting: true,
    minify: true,
    metafile: true,
    legalComments: "none",
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
  });
  const [script, { cssBundle }] = Object.entries(metafile.outputs).find(([, o]) => o.entryPoint === "src/main.tsx");
  const template = await readFile(join(ROOT, "src/index.html"), "utf8");
  const page = template.replace("SCRIPT", basename(script)).replace("STYLE", basename(cssBundle));
  await writeFile(join(values.out, "index.html"), page);
  await cp(join(ROOT, "src/favicon.svg"), join(values.out, "favicon.svg"));
  await writeFile(join(values.out, "licences.txt"), await licences(metafile));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
