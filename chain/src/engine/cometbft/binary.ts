import { execFile } from "node:child_process";
import { access, constants, mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { KaratError, type Logger, messageOf, silentLogger } from "@karat/common";

/** The release everything here was measured against. Another 0.38 release on PATH is accepted. */
export const COMET_MODULE = "github.com/cometbft/cometbft/cmd/cometbft@v0.38.25";
const COMPATIBLE = /^0\.38\./;
const NAME = "cometbft";
const VERSION_TIMEOUT_MS = 10_000;
const INSTALL_TIMEOUT_MS = 15 * 60_000;

const run = promisify(execFile);

/** Where a built binary is kept: the folder in KARAT_CACHE, else `~/.cache/karat/bin`. */
export const cacheFolder = (): string => process.env.KARAT_CACHE ?? join(homedir(), ".cache", "karat", "bin");

async function isUsable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    const { stdout } = await run(path, ["version"], { timeout: VERSION_TIMEOUT_MS });
    return COMPATIBLE.test(stdout.trim());
  } catch {
    return false;
  }
}

/** The path of a CometBFT v0.38 on this machine, from PATH or the cache folder; undefined when there is none. */
export async function findCometBft(): Promise<string | undefined> {
  const folders = [...(process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== ""), cacheFolder()];
  for (const folder of folders) {
    const path = join(folder, NAME);
    if (await isUsable(path)) return path;
  }
  return undefined;
}

/** As `findCometBft`, but builds it with Go into the cache folder when it is missing. Throws `comet/unavailable`. */
export async function ensureCometBft(log: Logger = silentLogger): Promise<string> {
  const found = await findCometBft();
  if (found !== undefined) return found;
  const folder = cacheFolder();
  await mkdir(folder, { recursive: true });
  log.info({ module: COMET_MODULE, folder }, "building CometBFT, once; this takes a few minutes");
  try {
    await run("go", ["install", COMET_MODULE], {
      env: { ...process.env, GOBIN: folder },
      timeout: INSTALL_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
    });
  } catch (error) {
    throw new KaratError(
      "comet/unavailable",
      "CometBFT is not on PATH and cannot be built: install Go 1.23 or newer, or put a cometbft v0.38 on PATH",
      { module: COMET_MODULE, reason: messageOf(error).slice(0, 2_000) },
      error,
    );
  }
  const path = join(folder, NAME);
  if (!(await isUsable(path))) throw new KaratError("comet/unavailable", "the built CometBFT does not run", { path });
  return path;
}
