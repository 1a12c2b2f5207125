// The one file that opens a WebSocket. It connects, notices a dead line, and tries again; what is
// said on the line is the caller's business.

import { delayMs } from "./backoff.ts";
import { parseFrame, ping, type ServerMessage } from "./protocol.ts";

/** Where the connection stands. `until` is on the clock of `performance.now()`. */
export type ConnectionState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "waiting"; readonly until: number };

/** What the owner of a connection is told. */
export interface Listener {
  onState(state: ConnectionState): void;
  /** Messages of one frame, and how many of its parts were not understood. */
  onMessages(messages: readonly ServerMessage[], bad: number): void;
}

// A quiet line is asked for a sign of life, and given up when nothing at all came for long enough.
const PING_EVERY_MS = 10_000;
const SILENT_MAX_MS = 25_000;
const CONNECT_MAX_MS = 10_000;

/** A connection that is always there or being made anew. */
export class Connection {
  private socket: WebSocket | null = null;
  private state: ConnectionState = { kind: "connecting" };
  private attempt = 0;
  private heardAt = 0;
  private nextId = 1;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
  ) {}

  get current(): ConnectionState {
    return this.state;
  }

  start(): void {
    this.connect();
    // A phone that wakes up, or finds its network again, should not sit out its backoff.
    globalThis.addEventListener("online", () => this.connectNow());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.connectNow();
    });
  }

  /** Cuts a wait short; does nothing on a connection that stands. */
  connectNow(): void {
    if (this.state.kind === "waiting") this.connect();
  }

  /** A number for the next request. */
  id(): number {
    return this.nextId++;
  }

  /** Sends if the connection stands; what must survive a reconnect is said again by the caller. */
  send(message: string): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
  }

  private connect(): void {
    clearTimeout(this.retry);
    this.enter({ kind: "connecting" });
    this.heardAt = performance.now();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    const mine = (action: () => void) => (): void => {
      if (this.socket === socket) action();
    };
    socket.addEventListener("open", mine(() => {
      this.heardAt = performance.now();
      this.enter({ kind: "live" });
    }));
    socket.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (this.socket === socket) this.receive(event.data);
    });
    socket.addEventListener("close", mine(() => this.lost()));
    clearInterval(this.watch);
    this.watch = setInterval(mine(() => this.check(socket)), 1_000);
  }

  private receive(data: unknown): void {
    this.heardAt = performance.now();
    // Only a server that speaks resets the backoff: one that accepts and hangs up does not.
    this.attempt = 0;
    if (typeof data !== "string") {
      this.listener.onMessages([], 1);
      return;
    }
    const { messages, bad } = parseFrame(data);
    this.listener.onMessages(messages, bad);
  }

  private pingAt = 0;

  private check(socket: WebSocket): void {
    const now = performance.now();
    const silent = now - this.heardAt;
    if (socket.readyState === WebSocket.CONNECTING) {
      if (silent > CONNECT_MAX_MS) this.lost();
    } else if (silent > SILENT_MAX_MS) {
      this.lost();
    } else if (silent > PING_EVERY_MS && now - this.pingAt > PING_EVERY_MS) {
      this.pingAt = now;
      this.send(ping(this.id()));
    }
  }

  private lost(): void {
    const socket = this.socket;
    this.socket = null;
    clearInterval(this.watch);
    socket?.close();
    const wait = delayMs(this.attempt, Math.random());
    this.attempt += 1;
    this.retry = setTimeout(() => this.connect(), wait);
    this.enter({ kind: "waiting", until: performance.now() + wait });
  }

  private enter(state: ConnectionState): void {
    this.state = state;
    this.listener.onState(state);
  }
}
