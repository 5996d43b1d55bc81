/**
 * Records in protobuf's wire format, byte for byte what `Inference.encode` writes, at a fraction of its price: nothing is encoded as
 * often as they are.
 */
import { inference, sign } from "@karat/proto";
import { writeUvarint } from "../../store/bytes.ts";
import type { Codec } from "../../store/value.ts";

type Inference = inference.Inference;

const VARINT = 0;
const DELIMITED = 2;
const SLAB_BYTES = 64 * 1024;
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const encoder = new TextEncoder();

/** Writes fields one after the other; those at their defaults are left out. What is written are views of slabs that several share. */
class Fields {
  #slab = new Uint8Array(0);
  #start = 0;
  #at = 0;

  /** Begins a message of at most so many bytes. */
  begin(mostBytes: number): this {
    this.#start = this.#at;
    if (this.#slab.length - this.#start >= mostBytes) return this;
    this.#slab = new Uint8Array(Math.max(SLAB_BYTES, mostBytes));
    this.#start = 0;
    this.#at = 0;
    return this;
  }

  end(): Uint8Array {
    return this.#slab.subarray(this.#start, this.#at);
  }

  uint(field: number, value: number): this {
    if (value === 0) return this;
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
    return this;
  }

  u64(field: number, value: bigint): this {
    if (value === 0n) return this;
    if (BigInt.asUintN(64, value) !== value) throw new RangeError(`field ${field} is no u64`);
    this.#varint(field * 8 + VARINT);
    if (value <= MAX_SAFE) this.#varint(Number(value));
    else {
      let rest = value;
      for (; rest > 0x7fn; rest >>= 7n) this.#slab[this.#at++] = Number(rest & 0x7fn) | 0x80;
      this.#slab[this.#at++] = Number(rest);
    }
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    return value.length === 0 ? this : this.message(field, value);
  }

  text(field: number, value: string): this {
    if (value === "") return this;
    const before = this.#at;
    this.#varint(field * 8 + DELIMITED);
    this.#varint(value.length);
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#at = before;
        return this.message(field, encoder.encode(value));
      }
      this.#slab[this.#at++] = code;
    }
    return this;
  }

  /** Absent where undefined; there, though empty, where it is not. */
  message(field: number, encoded: Uint8Array | undefined): this {
    if (encoded === undefined) return this;
    this.#varint(field * 8 + DELIMITED);
    this.#varint(encoded.length);
    this.#slab.set(encoded, this.#at);
    this.#at += encoded.length;
    return this;
  }

  #varint(value: number): void {
    this.#at = writeUvarint(this.#slab, this.#at, value);
  }
}

const fields = new Fields();
/** Of all fields without texts, bytes and messages. */
const NUMBERS_BYTES = 512;

function encode(record: Inference): Uint8Array {
  const { id, client, model, transferAgent, executor, requestHash, root, deliveredRoot } = record;
  const sampling = record.sampling && sign.Sampling.encode(record.sampling).finish();
  const part = record.part && inference.Part.encode(record.part).finish();
  const continued = record.continued && inference.Continued.encode(record.continued).finish();
  const binary = id.length + requestHash.length + root.length + deliveredRoot.length;
  const nested = (sampling?.length ?? 0) + (part?.length ?? 0) + (continued?.length ?? 0);
  const texts = client.length + model.length + transferAgent.length + executor.length;
  return fields
    .begin(NUMBERS_BYTES + binary + nested + 3 * texts)
    .bytes(1, id)
    .text(2, client)
    .text(3, model)
    .text(4, transferAgent)
    .text(5, executor)
    .uint(6, record.attempt)
    .bytes(7, requestHash)
    .message(8, sampling)
    .u64(9, record.anchorHeight)
    .uint(10, record.maxOutputTokens)
    .u64(11, record.inputPrice)
    .u64(12, record.outputPrice)
    .u64(13, record.locked)
    .u64(14, record.startHeight)
    .u64(15, record.deadlineHeight)
    .uint(16, record.status)
    .u64(17, record.epoch)
    .u64(18, record.finishHeight)
    .bytes(19, root)
    .uint(22, record.promptTokens)
    .uint(23, record.completionTokens)
    .uint(24, record.finishReason)
    .u64(25, record.cost)
    .u64(26, record.deliveryHeight)
    .bytes(27, deliveredRoot)
    .u64(28, record.settleHeight)
    .uint(29, record.receiptPromptTokens)
    .uint(30, record.recording)
    .uint(31, record.deliveryComplete ? 1 : 0)
    .message(32, part)
    .message(33, continued)
    .end();
}

export const recordCodec: Codec<Inference> = { encode, decode: (bytes) => inference.Inference.decode(bytes) };
