/** How much of a limit is used, as a bar and as text. */

import type { JSX } from "preact";
import type { Tone } from "../model/verdict.ts";
import { Mark } from "./states.tsx";

interface Props {
  readonly label: string;
  /** The figures as text. */
  readonly value: string;
  /** Used share, 0 to 1; unset when it is unknown. */
  readonly used: number | undefined;
  readonly tone: Tone;
  readonly note?: string;
  /** The figures in another unit. */
  readonly also?: string;
}

export function Meter({ label, value, used, tone, note, also }: Props): JSX.Element {
  const share = used === undefined ? 0 : Math.min(1, Math.max(0, used));
  const known = used !== undefined;
  return (
    <div class={`meter ${tone}`}>
      <div class="words">
        <span>
          <Mark tone={tone} /> {label}
          {note && <em> {note}</em>}
        </span>
        <span class="num">{value}</span>
        {also && <small class="num">{also}</small>}
      </div>
      <div
        class="bar"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={known ? Math.round(share * 100) : 0}
        aria-valuetext={known ? `${Math.round(share * 100)} % used, ${value}` : value}
      >
        <div style={{ width: `${share * 100}%` }} />
      </div>
    </div>
  );
}
