/** Bits in bytes, the most significant first. Values of at most 30 bits. */

export class BitWriter {
  readonly #bytes: number[];
  #current = 0;
  #free = 8;

  constructor(head: readonly number[]) {
    this.#bytes = [...head];
  }

  /** `value` ones and a zero; the zero is left out at `most`. */
  unary(value: number, most: number): void {
    for (let i = 0; i < value; i++) this.#push(1);
    if (value < most) this.#push(0);
  }

  bits(value: number, count: number): void {
    for (let at = count - 1; at >= 0; at--) this.#push((value >> at) & 1);
  }

  /** All bytes, the last one filled up with zeros. */
  finish(): Uint8Array {
    return Uint8Array.from(this.#free === 8 ? this.#bytes : [...this.#bytes, this.#current << this.#free]);
  }

  #push(bit: number): void {
    this.#current = (this.#current << 1) | bit;
    this.#free -= 1;
    if (this.#free > 0) return;
    this.#bytes.push(this.#current);
    this.#current = 0;
    this.#free = 8;
  }
}

export class BitReader {
  readonly #bytes: Uint8Array;
  readonly #tooShort: () => Error;
  #at: number;

  constructor(bytes: Uint8Array, from: number, tooShort: () => Error) {
    this.#bytes = bytes;
    this.#at = 8 * from;
    this.#tooShort = tooShort;
  }

  unary(most: number): number {
    let value = 0;
    while (value < most && this.#next() === 1) value++;
    return value;
  }

  bits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value = (value << 1) | this.#next();
    return value;
  }

  #next(): number {
    const byte = this.#bytes[this.#at >> 3];
    if (byte === undefined) throw this.#tooShort();
    return (byte >> (7 - (this.#at++ & 7))) & 1;
  }
}
