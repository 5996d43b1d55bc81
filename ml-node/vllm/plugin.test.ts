/** The plug-in's own tests, which are Python's. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const python = spawnSync("python3", ["--version"]).status === 0;
if (!python) process.stdout.write("LEFT OUT: the vLLM plug-in's tests need python3\n");

test.skipIf(!python && !process.env.CI)(
  "the vLLM plug-in chooses what @karat/rules chooses",
  { timeout: 120_000 },
  () => {
    const { status, stderr } = spawnSync("python3", ["-m", "unittest"], { cwd: import.meta.dirname, encoding: "utf8" });
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/Ran 4 tests/);
  },
);
