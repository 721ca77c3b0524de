// The licences of what the bundle contains: most ask that their text is passed on.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "./build.mjs";

// What lightweight-charts asks for beside its licence (the NOTICE file of its repository).
const NOTICES = {
  "lightweight-charts":
    "TradingView Lightweight Charts(tm)\nCopyright (c) 2025 TradingView, Inc. https://www.tradingview.com/\n",
};

/** One text with the name, version and licence of each bundled package. */
export async function licences(metafile) {
  const packages = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (name) packages.add(name);
  }
  const texts = [];
  for (const name of [...packages].sort()) {
    const folder = join(ROOT, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((f) => /^licen[cs]e/i.test(f));
    const text = file ? await readFile(join(folder, file), "utf8") : "";
    texts.push([`== ${name} ${version} (${license})`, NOTICES[name] ?? "", text].filter(Boolean).join("\n"));
  }
  return texts.join("\n\n");
}
