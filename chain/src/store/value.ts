export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/**
 * A value of the state: its bytes, or what they stand for, or both. Either is made from the other when it is asked for, once.
 * Neither is ever changed: whoever wants another value makes a new one. That is what lets a block, its transactions and the
 * blocks after it share one object instead of decoding it for each access and encoding it for each write.
 */
export class Value {
  #bytes: Uint8Array | undefined;
  #decoded: unknown;
  #codec: Codec<unknown> | undefined;
  #size: number | undefined;

  private constructor(bytes: Uint8Array | undefined, decoded: unknown, codec: Codec<unknown> | undefined) {
    this.#bytes = bytes;
    this.#decoded = decoded;
    this.#codec = codec;
  }

  static encoded(bytes: Uint8Array): Value {
    return new Value(bytes, undefined, undefined);
  }

  /** `decoded` has to be what `codec` would decode from its own encoding: the next node may have nothing else. */
  static of<T>(codec: Codec<T>, decoded: T): Value {
    return new Value(undefined, decoded, codec as Codec<unknown>);
  }

  /** What another node would decode; the same as `as` gives here, or nodes come to different results. */
  decodedAnew(): { readonly here: unknown; readonly elsewhere: unknown } {
    return { here: this.#decoded, elsewhere: this.#codec?.decode(this.bytes) };
  }

  get bytes(): Uint8Array {
    this.#bytes ??= this.#codec!.encode(this.#decoded);
    return this.#bytes;
  }

  /** How many bytes it has. */
  get size(): number {
    this.#size ??= this.bytes.length;
    return this.#size;
  }

  /** Gives up bytes that can be made again. */
  slim(): void {
    this.#size ??= this.bytes.length;
    if (this.#codec !== undefined) this.#bytes = undefined;
  }

  as<T>(codec: Codec<T>): T {
    if (this.#codec !== codec) {
      this.#decoded = codec.decode(this.bytes);
      this.#codec = codec as Codec<unknown>;
    }
    return this.#decoded as T;
  }
}
