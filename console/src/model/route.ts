/** Where the operator is: `#/view`, `#/view/part`, with a query. Links can be shared. */

export const VIEWS = [
  { name: "overview", title: "Overview", key: "o" },
  { name: "why", title: "Why not", key: "w" },
  { name: "instrument", title: "Instrument", key: "i" },
  { name: "decisions", title: "Decisions", key: "d" },
  { name: "positions", title: "Positions", key: "p" },
  { name: "results", title: "Results", key: "r" },
  { name: "research", title: "Research", key: "e" },
  { name: "system", title: "System", key: "s" },
] as const;

export type ViewName = (typeof VIEWS)[number]["name"];

export interface Route {
  /** An unknown name leads to a page that names it unknown. */
  readonly view: ViewName | "unknown";
  /** What follows the view, such as an instrument. */
  readonly part: string;
  readonly query: Readonly<Record<string, string>>;
}

/** The route of a location's hash. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name = "", part = ""] = path.split("/").map(decode);
  const view = name === "" ? "overview" : VIEWS.find((v) => v.name === name)?.name;
  return { view: view ?? "unknown", part, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** The link to a view. */
export function linkTo(view: ViewName, part = "", query: Record<string, string> = {}): string {
  const found = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return `#/${view}${part && `/${encodeURIComponent(part)}`}${found && `?${found}`}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
