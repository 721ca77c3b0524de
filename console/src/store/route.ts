/** The route of the page, as its address bar has it. */

import { parseRoute, type Route } from "../model/route.ts";
import { Cell } from "./cell.ts";

export const route = new Cell<Route>({ view: "overview", part: "", query: {} });

/** Follow the address bar. */
export function followRoute(): void {
  const update = (): void => route.set(parseRoute(location.hash));
  addEventListener("hashchange", update);
  update();
}
