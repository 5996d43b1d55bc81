import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { BlockCursor } from "@karat/client";

/** The last height dealt with, in a file that is replaced as a whole. */
export function fileCursor(path: string): BlockCursor {
  mkdirSync(dirname(path), { recursive: true });
  return {
    load() {
      try {
        return BigInt(readFileSync(path, "utf8").trim());
      } catch {
        return undefined; // none yet, or unreadable: duties still open are asked for at the start
      }
    },
    save(height) {
      writeFileSync(`${path}.new`, `${height}\n`);
      renameSync(`${path}.new`, path);
    },
  };
}
