/** What the command palette offers, and how it is searched. */

import { linkTo, VIEWS } from "./route.ts";

export interface Command {
  readonly title: string;
  /** Where it leads, or the dialog that it opens. */
  readonly link?: string;
  readonly dialog?: "engage" | "release" | "flatten" | "drain" | "reconcile" | "key" | "help" | "terms";
  /** What it changes about the look. */
  readonly preference?: "zone" | "theme";
}

const ACTIONS: readonly Command[] = [
  { title: "Engage the kill switch", dialog: "engage" },
  { title: "Release the kill switch", dialog: "release" },
  { title: "Flatten: close everything", dialog: "flatten" },
  { title: "Drain: close what is over the cap", dialog: "drain" },
  { title: "Reconcile, dry run", dialog: "reconcile" },
  { title: "Set or forget the API key", dialog: "key" },
  { title: "Times in the next zone: UTC, New York, local", preference: "zone" },
  { title: "Next theme: the system's, dark, light", preference: "theme" },
  { title: "Keyboard help", dialog: "help" },
  { title: "Terms: what the words mean", dialog: "terms" },
];

/** All commands. */
export function commandsFor(instruments: readonly string[]): Command[] {
  return [
    ...VIEWS.map((v) => ({ title: v.title, link: linkTo(v.name) })),
    ...ACTIONS,
    ...instruments.flatMap((i) => [
      { title: i, link: linkTo("instrument", i) },
      { title: `Why not ${i}`, link: linkTo("why", i) },
    ]),
  ];
}

/** Commands that contain every word of the text, those that begin with it first. */
export function search(commands: readonly Command[], text: string): Command[] {
  const words = normal(text).split(" ").filter(Boolean);
  return commands
    .filter((c) => words.every((w) => normal(c.title).includes(w)))
    .sort((a, b) => Number(begins(b, words)) - Number(begins(a, words)));
}

function begins({ title }: Command, words: readonly string[]): boolean {
  return words[0] !== undefined && normal(title).startsWith(words[0]);
}

function normal(text: string): string {
  return text.toLowerCase().replaceAll(/[_/]/g, " ").trim();
}
