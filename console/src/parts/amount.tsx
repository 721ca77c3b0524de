/** An amount of the home currency; the sign says what the colour says. */

import type { JSX } from "preact";
import { signedMoney, signOf } from "../model/decimals.ts";

interface Props {
  readonly text: string;
  /** As many as the other amounts of its column have. */
  readonly decimals?: number;
}

export function Amount({ text, decimals }: Props): JSX.Element {
  const sign = signOf(text);
  return <span class={`num ${sign > 0 ? "rise" : sign < 0 ? "fall" : ""}`}>{signedMoney(text, decimals)}</span>;
}
