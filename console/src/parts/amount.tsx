/** A signed amount; the sign says what the colour says. */

import type { JSX } from "preact";
import { signed, signOf } from "../model/decimals.ts";

export function Amount({ text }: { text: string }): JSX.Element {
  const sign = signOf(text);
  return <span class={`num ${sign > 0 ? "rise" : sign < 0 ? "fall" : ""}`}>{signed(text)}</span>;
}
