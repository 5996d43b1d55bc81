import { isMainThread } from "node:worker_threads";
import { KaratError, messageOf } from "../errors.ts";
import type { Secp256k1 } from "./implementation.ts";
import { loadNative } from "./native.ts";
import { loadWasm } from "./wasm.ts";

/** Names the build to use, `native` or `wasm`; absent: native, and WebAssembly with a warning where it cannot load. */
const VARIABLE = "KARAT_SECP256K1";

/**
 * The addon, or the same library in WebAssembly; never a third implementation, whose verdicts on odd input might differ
 * from what the other nodes say. Rejects with `bad_secp256k1` for another name, and where a build was asked for by
 * name and cannot load. Warns once per process, on stderr.
 */
export async function selectSecp256k1(
  name: string | undefined = process.env[VARIABLE],
  native: () => Promise<Secp256k1> = loadNative,
): Promise<Secp256k1> {
  switch (name) {
    case "native":
      return native();
    case "wasm":
      return loadWasm();
    case undefined:
    case "":
      return native().catch((error: unknown) => {
        if (isMainThread) {
          process.emitWarning(
            `no native libsecp256k1 (${messageOf(error).split("\n", 1)[0]}): the WebAssembly build verifies signatures, at a third of the speed`,
            "KaratSecp256k1",
          );
        }
        return loadWasm();
      });
    default:
      throw new KaratError("bad_secp256k1", `${VARIABLE} is native or wasm`, { name });
  }
}
