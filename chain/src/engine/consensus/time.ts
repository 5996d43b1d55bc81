import { KaratError } from "@karat/common";
import { Timestamp } from "cosmjs-types/google/protobuf/timestamp";

const NANOS_PER_SECOND = 1_000_000_000n;
const RFC3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

/** Nanoseconds since 1970 to the protobuf form. */
export function timestampOf(nanos: bigint): Timestamp {
  const seconds = nanos / NANOS_PER_SECOND;
  return Timestamp.fromPartial({ seconds, nanos: Number(nanos - seconds * NANOS_PER_SECOND) });
}

export const nanosOf = (time: Timestamp): bigint => time.seconds * NANOS_PER_SECOND + BigInt(time.nanos);

/** RFC 3339 in UTC, up to nine fractional digits with trailing zeros trimmed: how CometBFT prints a time. */
export function formatTime(time: Timestamp): string {
  const whole = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19);
  const fraction = time.nanos === 0 ? "" : `.${String(time.nanos).padStart(9, "0").replace(/0+$/, "")}`;
  return `${whole}${fraction}Z`;
}

/** Reads RFC 3339 without losing nanoseconds; throws `engine/bad-time`. */
export function parseTime(text: string): Timestamp {
  const match = RFC3339.exec(text);
  const millis = match ? Date.parse(`${match[1]}${match[3]}`) : Number.NaN;
  if (match === null || Number.isNaN(millis)) {
    throw new KaratError("engine/bad-time", "not an RFC 3339 time", { text });
  }
  return Timestamp.fromPartial({ seconds: BigInt(millis / 1000), nanos: Number((match[2] ?? "").padEnd(9, "0")) });
}

/** The machine's clock. Only engines may look at it; the application's time is the block's. */
export const clockNanos = (): bigint => BigInt(Date.now()) * 1_000_000n;
