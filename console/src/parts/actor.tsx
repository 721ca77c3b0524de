/** Who changed something: a part of the stack, or the holder of an API key. */

import type { JSX } from "preact";

/** Actors that are no key. */
const PARTS: Readonly<Record<string, string>> = { "": "the settings", env: "the settings", breaker: "the breaker", guard: "the guard" };

export function Actor({ name }: { name: string }): JSX.Element {
  const part = PARTS[name];
  if (part) return <>{part}</>;
  return (
    <>
      key <code>{name}</code>
    </>
  );
}
