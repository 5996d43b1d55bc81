/**
 * Generates src/gen/ from karat/**\/*.proto with buf and ts-proto, both from npm. The output is committed;
 * `--check` fails when it is not what the .proto files give.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;
const bin = (name: string): string => join(here, "../../node_modules/.bin", name);
const options = [
  "esModuleInterop=true",
  "forceLong=bigint",
  "useDate=false",
  "enumsAsLiterals=true",
  "importSuffix=.ts",
  "useExactTypes=false",
  "exportCommonSymbols=false",
  "outputServices=none",
  "removeEnumPrefix=true",
  "unrecognizedEnum=false",
];

function generate(out: string): void {
  const template = JSON.stringify({
    version: "v2",
    plugins: [{ local: bin("protoc-gen-ts_proto"), out, opt: options }],
  });
  execFileSync(bin("buf"), ["generate", "--template", template, "."], { cwd: here, stdio: "inherit" });
}

const filesOf = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length))
    .sort();

const committed = join(here, "src/gen");
if (process.argv.includes("--check")) {
  const fresh = mkdtempSync(join(tmpdir(), "karat-proto-"));
  generate(fresh);
  const [have, want] = [filesOf(committed), filesOf(fresh)];
  const stale = want.filter(
    (f) => !have.includes(f) || readFileSync(committed + f, "utf8") !== readFileSync(fresh + f, "utf8"),
  );
  const extra = have.filter((f) => !want.includes(f));
  rmSync(fresh, { recursive: true });
  if (stale.length + extra.length > 0) {
    process.stderr.write(
      `src/gen is not what the .proto files give: ${[...stale, ...extra].join(", ")}\nrun: npm run codegen\n`,
    );
    process.exit(1);
  }
} else {
  rmSync(committed, { recursive: true, force: true });
  generate(committed);
}
