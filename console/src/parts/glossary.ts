/** Terms of the console in the words of docs/glossary.md; a test compares them. */

export const TERMS: ReadonlyArray<readonly [term: string, meaning: string]> = [
  ["weight", "Share of margin available that an instrument is to use."],
  ["gate", "What is published for an instrument: 1 (open) while it is eligible, in session, fresh and intact."],
  ["coherence", "How regular a window is, 0 to 1."],
  ["stability", "1 - rupture."],
  ["rupture", "Share of rupture events in a window."],
  ["entropy", "How evenly nulls, flips and ruptures are mixed in a window, 0.05 to 1."],
  ["window", "The last 64 bits."],
  ["bit", "1 where a bar's step goes against the trend of the last six bars, else 0."],
  ["event", "A pair of neighbouring bits: null 00, flip 01 or 10, rupture 11."],
  ["manifold", "The metrics of the complete candles plus the live price as a provisional last bar."],
  ["direction", "1 long, -1 short, 0 none; the sign of the slope where it is large enough."],
  ["price limit, price bound", "The worst price at which an entry may fill; beyond it the broker cancels the order."],
  ["ramp", "The limit on how much an instrument's margin grows in one cycle."],
  ["drain", "Closing exposure over the cap while the kill switch is engaged."],
  ["flatten", "Engaging the kill switch and closing everything that the stack manages."],
  ["reconcile, cycle", "One pass of reading, deciding and ordering for all instruments."],
  ["kill switch", "While engaged no entry passes; reductions do."],
  ["breaker", "Engages the kill switch when a limit on the whole account is passed; stays tripped until acknowledged."],
];
