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
/** More failing files than this are no accident of a busy machine. */
const MOST_REPEATED = 4;
const unsteady: string[] = [];

const run = (command: string, args: readonly string[]): number =>
  spawnSync(command, [...args], { cwd: root, stdio: "inherit" }).status ?? 1;

function check(name: string, command: string, ...args: string[]): void {
  process.stdout.write(`\n── ${name}\n`);
  const ok = run(command, args) === 0;
  total[ok ? "passed" : "failed"] += 1;
}

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly { readonly name: string; readonly status: string }[];
}

/** Runs vitest; undefined when it ended without a report. */
function vitest(args: readonly string[]): { status: number; report: Report } | undefined {
  const dir = mkdtempSync(join(tmpdir(), "karat-test-"));
  const output = join(dir, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${output}`];
  try {
    const status = run("vitest", ["run", ...reporters, ...args]);
    return { status, report: JSON.parse(readFileSync(output, "utf8")) as Report };
  } catch {
    return undefined;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const failedFiles = ({ testResults }: Report): string[] =>
  testResults.filter(({ status }) => status === "failed").map(({ name }) => name);

/**
 * A machine shared with others stalls now and then for seconds: files that failed run once more, alone. What passes
 * then is counted as passed and named as unsteady, so that nobody overlooks it.
 */
function tests(name: string, ...args: string[]): void {
  process.stdout.write(`\n── ${name}\n`);
  const first = vitest(args);
  if (!first) {
    total.failed += 1;
    return;
  }
  total.passed += first.report.numPassedTests;
  total.skipped += first.report.numPendingTests + first.report.numTodoTests;
  const files = failedFiles(first.report);
  if (first.status === 0) return;
  process.stdout.write(`\n── once more, alone: ${files.join(" ")}\n`);
  const again = files.length > 0 && files.length <= MOST_REPEATED ? vitest(["--maxWorkers=1", ...files]) : undefined;
  if (again?.status === 0) {
    total.passed += first.report.numFailedTests;
    unsteady.push(...files);
  } else total.failed += Math.max(1, (again ?? first).report.numFailedTests);
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

if (unsteady.length > 0) process.stdout.write(`\nUnsteady, passed when run alone: ${unsteady.join(" ")}\n`);
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
