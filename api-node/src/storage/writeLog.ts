import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { KaratError } from "@karat/common";

/** A value that is to be put into a named database. */
export interface Put {
  readonly database: string;
  readonly key: string;
  readonly value: unknown;
}

interface Frame {
  readonly number: number;
  readonly puts: readonly Put[];
}

interface LogFile {
  readonly descriptor: number;
  length: number;
}

const LENGTH_BYTES = 4;

/**
 * What has not come to LMDB yet, in two files that take turns: one gathers, the other is emptied once LMDB has what it holds. A write is
 * with the operating system when `append` returns: it survives the end of the process at any moment, for a hundredth of the time that a
 * commit to disk takes.
 */
export class WriteLog {
  readonly #files: readonly [LogFile, LogFile];
  #current = 0;
  #number = 0;
  /** What the last process left behind, oldest first. */
  readonly left: readonly Put[];

  constructor(directory: string) {
    const paths = ["writes-0.log", "writes-1.log"].map((name) => join(directory, name));
    const [a, b] = paths.map((path) => openSync(path, "a+"));
    const frames = paths.flatMap((path) => framesOf(readFileSync(path))).sort((x, y) => x.number - y.number);
    this.left = frames.flatMap(({ puts }) => puts);
    this.#number = (frames.at(-1)?.number ?? 0) + 1;
    this.#files = [
      { descriptor: a!, length: 0 },
      { descriptor: b!, length: 0 },
    ];
  }

  /** Throws `disk_full`, or what the operating system says; nothing of it is kept then. */
  append(puts: readonly Put[]): void {
    const frame: Frame = { number: this.#number++, puts };
    const body = serialize(frame);
    const bytes = Buffer.allocUnsafe(LENGTH_BYTES + body.length);
    bytes.writeUInt32LE(body.length);
    body.copy(bytes, LENGTH_BYTES);
    const file = this.#files[this.#current]!;
    // A disk that is nearly full takes a part without a word; what came behind it could not be read again.
    if (writeSync(file.descriptor, bytes) < bytes.length) {
      ftruncateSync(file.descriptor, file.length);
      throw new KaratError("disk_full", "The disk that holds this node's data is full: make room on it.");
    }
    file.length += bytes.length;
  }

  /** Nothing was gathered since the last turn. */
  get isEmpty(): boolean {
    return this.#files[this.#current]!.length === 0;
  }

  /** From here on the other file gathers; the result empties this one. */
  turn(): () => void {
    const file = this.#files[this.#current]!;
    this.#current = 1 - this.#current;
    return () => empty(file);
  }

  /** LMDB has everything. */
  clear(): void {
    for (const file of this.#files) {
      ftruncateSync(file.descriptor);
      file.length = 0;
    }
  }

  close(): void {
    for (const { descriptor } of this.#files) closeSync(descriptor);
  }
}

function empty(file: LogFile): void {
  if (file.length > 0) ftruncateSync(file.descriptor);
  file.length = 0;
}

/** The last one may have been cut off by a full disk or the end of the machine. */
function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + LENGTH_BYTES <= bytes.length; ) {
    const end = at + LENGTH_BYTES + bytes.readUInt32LE(at);
    if (end > bytes.length) break;
    try {
      frames.push(deserialize(bytes.subarray(at + LENGTH_BYTES, end)) as Frame);
    } catch {
      break;
    }
    at = end;
  }
  return frames;
}
