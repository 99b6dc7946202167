/**
 * How requests are planned, each part of it with a switch: so that what it is
 * worth can be measured. Nobody else has a reason to switch one off.
 */
export interface Planning {
  /** Spans that several readers ask for in one turn of the event loop share requests. */
  joins: boolean;
  /** Requests read over bytes that nobody wants, where that is cheaper than another request. */
  bridges: boolean;
  /** Spans are decoded as soon as their own bytes are there, and not when all of their request's are. */
  overlaps: boolean;
}

export function allPlanning(): Planning {
  return { joins: true, bridges: true, overlaps: true };
}
