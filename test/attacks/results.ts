/** What was measured, in docs/verification, and the page and plots that are made of it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Profile } from "@karat/rules";
import { pageOf } from "./page.ts";
import { detectionPlot } from "./plot.ts";
import type { Outcome, Rate } from "./report.ts";

const fileOf = (out: string, name: string): string => join(out, "verification", name);

export function readRows<T>(out: string, name: "outcomes" | "rates"): T[] {
  const path = fileOf(out, `${name}.json`);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as T[]) : [];
}

export function writeRows(out: string, name: "outcomes" | "rates", rows: readonly object[]): void {
  mkdirSync(join(out, "verification"), { recursive: true });
  writeFileSync(fileOf(out, `${name}.json`), `[\n${rows.map((row) => JSON.stringify(row)).join(",\n")}\n]\n`);
}

/** Page and plots from the rows as they were last measured. */
export function writePage(out: string, profile: Profile): void {
  const outcomes = readRows<Outcome>(out, "outcomes");
  const plot = (file: string, title: string, ids: readonly string[]): void =>
    writeFileSync(
      fileOf(out, file),
      detectionPlot(
        title,
        outcomes.filter(({ id }) => ids.includes(id)),
      ),
    );
  plot("run-by.svg", "Answers run by a substitute", ["A1", "A2"]);
  plot("laundered.svg", "Answers laundered through one prefill of the declared model", ["A3"]);
  writeFileSync(join(out, "verification.md"), pageOf(outcomes, readRows<Rate>(out, "rates"), profile));
}
