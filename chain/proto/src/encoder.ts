interface Encodable<T, W extends { finish(): Uint8Array }> {
  encode(message: T, writer?: W): W;
}

/**
 * The encoder of a generated type that uses one writer again and again: making its buffer is half of what a small message costs. For
 * writers that are empty after `finish`, as those of @bufbuild/protobuf are.
 */
export function encoderOf<T, W extends { finish(): Uint8Array }>(type: Encodable<T, W>): (message: T) => Uint8Array {
  let idle: W | undefined;
  return (message) => {
    // One that threw half way is not used again.
    const writer = idle;
    idle = undefined;
    const written = type.encode(message, writer);
    const bytes = written.finish();
    idle = written;
    return bytes;
  };
}
