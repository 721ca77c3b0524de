/** Runs of research that the user opened. Their files are read in this tab and sent nowhere. */

import { parseRun, type Run } from "../model/run.ts";
import { Cell } from "./cell.ts";

const SUMMARY = "summary.json";
const MANIFEST = "manifest.json";
const MOST_BYTES = 32 * 2 ** 20;
/** A folder of folders of runs. */
const DEEPEST = 3;

export interface OpenedRun {
  /** Of its folder; no two are equal. */
  readonly name: string;
  readonly run?: Run;
  /** Why it can't be shown. */
  readonly fault?: string;
}

export const runs = new Cell<readonly OpenedRun[]>([]);
/** What is going on, or what was wrong with all that was chosen. */
export const runsNote = new Cell("");

interface Placed {
  readonly path: string;
  readonly file: File;
}

export const openChosen = (files: FileList | null): Promise<void> =>
  open(async () => [...(files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file })));

/** Entries of a drop are gone after its event: they are taken out at once. */
export function openDropped(items: DataTransferItemList): Promise<void> {
  const all = [...items].map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  return open(async () => {
    const found: Placed[] = [];
    for (const { entry, file } of all) {
      if (entry?.isDirectory) await collect(entry as FileSystemDirectoryEntry, DEEPEST, found);
      else if (file) found.push({ path: file.name, file });
    }
    return found;
  });
}

export function closeRun(name: string): void {
  runs.set(runs.value.filter((r) => r.name !== name));
}

async function collect(folder: FileSystemDirectoryEntry, deep: number, found: Placed[]): Promise<void> {
  const reader = folder.createReader();
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (!entries.length) return;
    for (const entry of entries) {
      if (entry.isDirectory && deep > 1) await collect(entry as FileSystemDirectoryEntry, deep - 1, found);
      if (entry.name !== SUMMARY && entry.name !== MANIFEST) continue;
      const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
      found.push({ path: entry.fullPath, file });
    }
  }
}

async function open(choose: () => Promise<Placed[]>): Promise<void> {
  runsNote.set("Reading…");
  try {
    const files = await choose();
    const folders = new Map<string, Placed>();
    // A summary is preferred to the manifest beside it; another file stands for itself.
    for (const { path, file } of files.sort((a, b) => a.path.localeCompare(b.path))) {
      const folder = path.replace(/\/?[^/]*$/, "");
      const alone = file.name !== MANIFEST && !path.includes("/");
      if (file.name === SUMMARY || alone) folders.set(folder || path, { path, file });
      else if (file.name === MANIFEST && !folders.has(folder)) folders.set(folder, { path, file });
    }
    for (const [folder, { file }] of folders) await add(folder.replace(/^.*\//, "") || file.name, file);
    runsNote.set(folders.size ? "" : "There is no run in it: choose a folder that sep-research sweep --out wrote.");
  } catch (error) {
    runsNote.set(`It can't be read: ${(error as Error).message}`);
  }
}

async function add(name: string, file: File): Promise<void> {
  let unique = name;
  for (let n = 2; runs.value.some((r) => r.name === unique); n += 1) unique = `${name} (${n})`;
  runs.set([...runs.value, { name: unique, ...(await contentOf(file)) }]);
}

async function contentOf(file: File): Promise<Omit<OpenedRun, "name">> {
  if (file.name === MANIFEST) {
    return {
      fault:
        "it has no summary.json, so it was made by an older sep-research, or is no run of it. See its report.html, or make it anew.",
    };
  }
  if (file.size > MOST_BYTES) return { fault: `it has ${file.size} bytes: that is no summary of a run` };
  try {
    return { run: parseRun(await file.text()) };
  } catch (error) {
    return { fault: (error as Error).message };
  }
}
