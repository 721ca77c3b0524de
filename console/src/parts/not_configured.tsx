/** An instrument of the address that the stack does not have. */

import type { JSX } from "preact";
import { linkTo } from "../model/route.ts";

interface Props {
  readonly instrument: string;
  readonly view: "why" | "instrument";
  /** Those that it has. */
  readonly of: readonly string[];
}

export function NotConfigured({ instrument, view, of }: Props): JSX.Element {
  return (
    <div class="absent">
      <h2>{instrument} is not among the configured instruments</h2>
      <p class="links">
        {of.map((name) => (
          <a key={name} href={linkTo(view, name)}>
            {name}
          </a>
        ))}
      </p>
    </div>
  );
}
