import type { ServerResponse } from "node:http";
import { write } from "./context.ts";

/** Lines of JSON to one reader. */
export class LineWriter {
  readonly #response: ServerResponse;
  readonly #lumpMs: number;
  #held = "";
  #writtenMs = 0;

  /** `lumpMs`: how long after a write a line that can wait does so; 0: not at all. */
  constructor(response: ServerResponse, lumpMs: number) {
    this.#response = response;
    this.#lumpMs = lumpMs;
  }

  /** Writes a line, behind those that waited; resolves when the reader keeps up. */
  async write(line: object): Promise<void> {
    const lines = `${this.#held}${JSON.stringify(line)}\n`;
    this.#held = "";
    this.#writtenMs = performance.now();
    await write(this.#response, lines);
  }

  /** The last line, with the end of the reply. */
  end(line: object): void {
    this.#response.end(`${this.#held}${JSON.stringify(line)}\n`);
  }

  /** A line that can wait for the next one, when the last write was a moment ago. */
  async hold(line: object): Promise<void> {
    if (performance.now() - this.#writtenMs >= this.#lumpMs) await this.write(line);
    else this.#held += `${JSON.stringify(line)}\n`;
  }
}
