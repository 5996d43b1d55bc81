import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Network } from "./network.ts";
import { UsageError } from "./options.ts";

/** Says that a folder is a demo's: its network is ended and removed by the next one. */
const MARK = "demo-network";

/**
 * An empty folder for a demo; the network of an earlier demo in it is ended and removed. Throws UsageError for a folder that holds
 * anything else: a network of `up`, or somebody's files.
 */
export async function takeDemoFolder(dir: string): Promise<void> {
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    if (!existsSync(join(dir, MARK))) {
      throw new UsageError(`${dir} holds something that is no demo's: name an empty folder, or leave --dir out`);
    }
    await Network.open(dir)?.stop();
    rmSync(dir, { recursive: true });
  }
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, MARK), "removed by the next demo in this folder\n");
}
