import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WriteLog } from "./writeLog.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "karat-log-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const put = (key: string, bytes = 10) => ({ database: "d", key, value: "v".repeat(bytes) });
const keysLeft = (): string[] => new WriteLog(directory).left.map(({ key }) => key);

test("what was appended is there for the next process, in order", () => {
  const log = new WriteLog(directory);
  log.append([put("a"), put("b")]);
  log.turn();
  log.append([put("c")]);
  log.close();
  expect(keysLeft()).toEqual(["a", "b", "c"]);
});

test("a write that a full disk cut off hid everything that was written behind it", async () => {
  // The kernel takes as many bytes of a write as the limit on a file's size leaves, as it does on a disk that is nearly full.
  const script = `
    import { WriteLog } from ${JSON.stringify(new URL("./writeLog.ts", import.meta.url).href)};
    process.on("SIGXFSZ", () => undefined);
    const log = new WriteLog(process.argv[1]);
    const put = (key, bytes) => log.append([{ database: "d", key, value: "v".repeat(bytes) }]);
    put("first", 10);
    try { put("too long", 100_000); } catch (error) { console.log(error.code); }
    put("behind", 10);`;
  const node = `exec "$0" --input-type=module-typescript -e "$1" "$2"`;
  const child = spawn("bash", ["-c", `ulimit -f 16; ${node}`, process.execPath, script, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += chunk;
  });
  expect(await once(child, "close")).toEqual([0, null]);
  expect(said.trim()).toBe("disk_full");
  expect(keysLeft()).toEqual(["first", "behind"]);
});
