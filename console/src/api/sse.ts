/** Server-sent events of a fetch: `EventSource` can send no key. */

/** Cuts a stream of text into events; each is the data of one. */
export class EventParser {
  #rest = "";

  /** The data of every event that a piece completes. */
  push(piece: string): string[] {
    const blocks = (this.#rest + piece).replaceAll("\r\n", "\n").split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(dataOf).filter((data) => data !== "");
  }
}

function dataOf(block: string): string {
  return block
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(line.startsWith("data: ") ? 6 : 5))
    .join("\n");
}
