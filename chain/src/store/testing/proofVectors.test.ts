import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { proofVectors, VECTORS_FILE } from "./proofVectors.ts";

it("the proofs that the client's verifier is tested with are those of this store", () => {
  expect(proofVectors()).toEqual(JSON.parse(readFileSync(VECTORS_FILE, "utf8")));
});
