import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";

test("a script whose reader has left ends without a word", async () => {
  const module = JSON.stringify(new URL("run.ts", import.meta.url).href);
  const endless = `import { print, runScript } from ${module};
    await runScript(async () => { for (;;) { print("x".repeat(1_000)); await new Promise(setImmediate); } });`;
  const flags = ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", endless];
  const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stdout.once("data", () => child.stdout.destroy());
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  expect([code, said]).toEqual([0, ""]);
});
