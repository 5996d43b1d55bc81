import type { Socket } from "node:net";

/**
 * What a transfer agent does with a connection behind a whole answer is its word on it: it closes the one on which it called the executor
 * off, before it has read the end, and keeps the other for its next request. So no message has to say which of two executors that finish
 * together it was, and one that says nothing has taken the answer.
 */
export class KeptConnections {
  readonly #withinMs: number;
  readonly #waiting = new Map<Socket, (kept: boolean) => void>();
  #closed = false;

  /** `withinMs`: longer than a transfer agent that stands still for a moment leaves a word unread. */
  constructor(withinMs: number) {
    this.#withinMs = withinMs;
  }

  /** Another request came on the connection: whatever was answered on it before was read to its end. */
  used(socket: Socket): void {
    this.#waiting.get(socket)?.(true);
  }

  /** False when the connection is closed within the time, true as soon as it is used again, and behind the time. */
  async kept(socket: Socket): Promise<boolean> {
    if (this.#closed || socket.destroyed) return this.#closed;
    return await new Promise<boolean>((resolve) => {
      const settle = (kept: boolean): void => {
        clearTimeout(timer);
        socket.off("close", closed);
        this.#waiting.delete(socket);
        resolve(kept);
      };
      const closed = (): void => settle(false);
      const timer = setTimeout(settle, this.#withinMs, true);
      socket.once("close", closed);
      this.#waiting.set(socket, settle);
    });
  }

  /** This node closes its connections itself: nothing that happens to them from now on is anybody's word. */
  close(): void {
    this.#closed = true;
    for (const settle of [...this.#waiting.values()]) settle(true);
  }
}
