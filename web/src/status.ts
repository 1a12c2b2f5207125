// Pure: no socket, clock or DOM. What the indicator says about the connection and the selected topic.

import type { ConnectionState } from "./connection.ts";

/** `idle`: connected, but no open bar has come; `waiting`: for the next attempt to connect. */
export type StatusKind = "connecting" | "live" | "idle" | "stale" | "waiting";

/** Owners say each open bar again every 10 s: when nothing came for longer, something is wrong. */
export const STALE_MS = 25_000;

/** The server answers a subscription with the open bar at once, if it has one. */
export const ANSWER_MS = 2_000;

/** What is known of the selected topic. Times are milliseconds of one monotonic clock. */
export interface Heard {
  /** When the topic was subscribed last; null before a topic is selected. */
  readonly subscribedAt: number | null;
  /** When a bar of it came last on this subscription, open or closed; null if none has. */
  readonly barAt: number | null;
  /** Whether an open bar of it has come on this subscription: only trades make one. */
  readonly open: boolean;
  /** Whether this connection has ever brought an open bar, of whatever topic. */
  readonly openBefore: boolean;
}

export function statusKind(connection: ConnectionState["kind"], heard: Heard, now: number): StatusKind {
  if (connection !== "live") return connection;
  if (heard.subscribedAt === null) return "connecting";
  if (!heard.open) {
    if (now - heard.subscribedAt > ANSWER_MS) return "idle";
    return heard.openBefore ? "live" : "connecting";
  }
  return now - (heard.barAt ?? heard.subscribedAt) > STALE_MS ? "stale" : "live";
}
