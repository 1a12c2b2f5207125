// Pure: no timer. How long to wait before the next attempt to connect.

/** Bounds of the wait, in milliseconds. */
export interface Bounds {
  readonly first_ms: number;
  readonly max_ms: number;
}

/** First retry within half a second; never more than 15 s between two attempts. */
export const RECONNECT: Bounds = { first_ms: 500, max_ms: 15_000 };

/**
 * Full jitter: anywhere in (0, ceiling), the ceiling doubling with each failed attempt, so that
 * a restarted server meets its clients spread out and not in waves.
 *
 * `attempt` counts from 0; `random` is in [0, 1).
 */
export function delayMs(attempt: number, random: number, bounds: Bounds = RECONNECT): number {
  const doublings = Math.min(Math.max(Math.trunc(attempt), 0), 30);
  const ceiling = Math.min(bounds.max_ms, bounds.first_ms * 2 ** doublings);
  const share = Math.min(Math.max(random, 0), 1);
  return Math.max(MIN_MS, Math.round(ceiling * share));
}

// A wait of zero would let a server that accepts and drops at once be hammered.
const MIN_MS = 50;
