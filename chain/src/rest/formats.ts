/** How fields are written whose values do not tell: by the field's name. */
export type Formats = Readonly<Record<string, (value: never) => unknown>>;

const DIGITS = 18;

/** A decimal as it travels (an integer of 18 digits) as it is read: `1.500000000000000000`. */
export function decimal(wire: string): string {
  const negative = wire.startsWith("-");
  const digits = (negative ? wire.slice(1) : wire).padStart(DIGITS + 1, "0");
  return `${negative ? "-" : ""}${digits.slice(0, -DIGITS)}.${digits.slice(-DIGITS)}`;
}

export const ZERO_DECIMAL = decimal("0");

/** Whole coins as a decimal. */
export const wholeDecimal = (amount: bigint): string => decimal((amount * 10n ** BigInt(DIGITS)).toString());

/** A protobuf Duration as proto JSON has it: `1814400s`. */
export function duration({ seconds, nanos }: { seconds: bigint; nanos: number }): string {
  const fraction = nanos === 0 ? "" : `.${String(Math.abs(nanos)).padStart(9, "0")}`;
  return `${seconds}${fraction}s`;
}
