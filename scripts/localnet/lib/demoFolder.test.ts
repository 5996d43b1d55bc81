import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { takeDemoFolder } from "./demoFolder.ts";
import { UsageError } from "./options.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "karat-demo-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("a demo removed whatever was in the folder that it was given", async () => {
  const file = join(dir, "thesis");
  writeFileSync(file, "x");
  await expect(takeDemoFolder(dir)).rejects.toThrow(UsageError);
  expect(existsSync(file)).toBe(true);
});

test("a demo takes a new folder, an empty one, and that of an earlier demo, which it empties", async () => {
  for (const folder of [join(dir, "new"), join(dir, "empty")]) {
    if (folder.endsWith("empty")) mkdirSync(folder);
    await takeDemoFolder(folder);
    writeFileSync(join(folder, "left"), "x");
    await takeDemoFolder(folder);
    expect(readdirSync(folder)).toHaveLength(1);
  }
});
