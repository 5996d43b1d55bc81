/**
 * Runs every check of the project and ends with `N passed, N failed, N skipped`. The static checks count as one test
 * each. Arguments are handed to vitest: `test/run chain/rules` runs the tests of one folder.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const total = { passed: 0, failed: 0, skipped: 0 };

const run = (command: string, args: readonly string[]): number =>
  spawnSync(command, [...args], { cwd: root, stdio: "inherit" }).status ?? 1;

function check(name: string, command: string, ...args: string[]): void {
  process.stdout.write(`\n── ${name}\n`);
  const ok = run(command, args) === 0;
  total[ok ? "passed" : "failed"] += 1;
}

function tests(name: string, ...args: string[]): void {
  process.stdout.write(`\n── ${name}\n`);
  const dir = mkdtempSync(join(tmpdir(), "karat-test-"));
  const output = join(dir, "report.json");
  const status = run("vitest", [
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${output}`,
    ...args,
  ]);
  try {
    const report = JSON.parse(readFileSync(output, "utf8")) as Record<string, number>;
    total.passed += report.numPassedTests ?? 0;
    total.failed += report.numFailedTests ?? 0;
    total.skipped += (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0);
    // A file that cannot be loaded fails the run without failing a test.
    if (status !== 0 && !report.numFailedTests) total.failed += 1;
  } catch {
    total.failed += 1;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const chosen = process.argv.slice(2);
if (chosen.length === 0) {
  check("format, lint, import rules, determinism", "biome", "check", "--error-on-warnings", ".");
  check("types", "tsc", "--noEmit");
  check("generated protobuf code is current", "node", "chain/proto/codegen.ts", "--check");
}
if (chosen.length > 0) tests("tests", ...chosen);
else {
  tests("unit tests", "--project", "unit");
  tests("whole networks", "--project", "e2e");
}

process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
