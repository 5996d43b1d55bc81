import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { JOURNAL_VECTORS_FILE, journalVectors, proofVectors, VECTORS_FILE } from "./proofVectors.ts";

it("the proofs that the client's verifier is tested with are those of this store", () => {
  expect(proofVectors()).toEqual(JSON.parse(readFileSync(VECTORS_FILE, "utf8")));
  expect(journalVectors()).toEqual(JSON.parse(readFileSync(JOURNAL_VECTORS_FILE, "utf8")));
});
