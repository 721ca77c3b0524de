/** Paging through a list by the tokens of the API. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

export interface Pages {
  /** Token of the page that is shown; empty for the newest. */
  readonly token: string;
  readonly number: number;
  readonly older: (next: string) => void;
  readonly newer: () => void;
}

/** Starts anew whenever `filter` changes: a token belongs to its filter. */
export function usePages(filter: string): Pages {
  const [tokens, set] = useState<{ filter: string; list: readonly string[] }>({ filter, list: [] });
  const list = tokens.filter === filter ? tokens.list : [];
  useEffect(() => set({ filter, list: [] }), [filter]);
  return {
    token: list.at(-1) ?? "",
    number: list.length + 1,
    older: (next) => set({ filter, list: [...list, next] }),
    newer: () => set({ filter, list: list.slice(0, -1) }),
  };
}

export function PageButtons({ pages, next, of }: { pages: Pages; next: string | undefined; of: string }): JSX.Element | null {
  if (pages.number === 1 && !next) return null;
  return (
    <div class="tools pages" role="group" aria-label={`Pages of ${of}`}>
      <button type="button" disabled={pages.number === 1} onClick={pages.newer}>
        Newer
      </button>
      <span>Page {pages.number}</span>
      <button type="button" disabled={!next} onClick={() => next && pages.older(next)}>
        Older
      </button>
    </div>
  );
}
