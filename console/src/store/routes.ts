/** Which routes the running stack's own document lists: a later version may have more than this console knows. */

import { useEffect, useState } from "preact/hooks";
import { probe } from "../api/client.ts";
import { asFailure } from "../api/failure.ts";
import { keyChanges } from "../api/key.ts";
import { useCell } from "./cell.ts";

let asked: Promise<ReadonlySet<string>> | undefined;
keyChanges.watch(() => (asked = undefined));

/** Whether a route is listed; undefined until it is known, and where the document can't be read. */
export function useRoute(path: string): boolean | undefined {
  const [listed, set] = useState<boolean | undefined>();
  const key = useCell(keyChanges); // A new key may open the document.
  useEffect(() => {
    let gone = false;
    asked ??= ask();
    asked.then(
      (paths) => gone || set(paths.has(path)),
      (error: unknown) => {
        asked = undefined; // The next view asks again.
        if (!gone) set(asFailure(error).absent ? false : undefined);
      },
    );
    return () => {
      gone = true;
    };
  }, [path, key]);
  return listed;
}

async function ask(): Promise<ReadonlySet<string>> {
  const document = (await probe("/openapi.json")) as { paths?: Record<string, unknown> };
  return new Set(Object.keys(document.paths ?? {}));
}
