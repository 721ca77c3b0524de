/** Whether anyone can see this tab. In the background nothing is read. */

import { Cell } from "./cell.ts";

export const visible = new Cell(true);

/** Follow the browser's word. */
export function followVisibility(): void {
  const update = (): void => visible.set(document.visibilityState === "visible");
  document.addEventListener("visibilitychange", update);
  update();
}
