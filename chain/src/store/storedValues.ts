import { fromBinary, toBinary } from "./bytes.ts";
import type { KeyRange, Reader, ValueReader } from "./types.ts";
import { Value } from "./value.ts";

/** A store that keeps bytes, as a ValueReader. Nothing is remembered: each access decodes anew. */
export class StoredValues implements ValueReader {
  readonly #reader: Reader;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  value(key: string): Value | undefined {
    const bytes = this.#reader.get(fromBinary(key));
    return bytes && Value.encoded(bytes);
  }

  *values({ start, end, reverse = false }: KeyRange = {}): Generator<readonly [string, Value]> {
    const range = {
      ...(start !== undefined && { start: fromBinary(start) }),
      ...(end !== undefined && { end: fromBinary(end) }),
      reverse,
    };
    for (const [key, bytes] of this.#reader.iterate(range)) yield [toBinary(key), Value.encoded(bytes)];
  }
}
