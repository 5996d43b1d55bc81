import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type InferenceProof, verifyInferenceProof } from "@karat/client";
import { fromHex, toHex } from "@karat/common";
import { afterEach, expect, test } from "vitest";
import { url } from "../../scripts/localnet/lib/layout.ts";
import { eventually, startNetwork, type TestNetwork } from "./support.ts";

const MAIN = new URL("../../sidecar/src/verifyMain.ts", import.meta.url).pathname;
const run = promisify(execFile);

let net: TestNetwork | undefined;
const dir = mkdtempSync(join(tmpdir(), "karat-verify-"));
afterEach(async () => {
  await net?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** An InferenceProof as the network's JSON. */
interface ShownProof {
  readonly proof: {
    readonly height: string;
    readonly store_name: string;
    readonly key: string;
    readonly value: string;
    readonly proof_ops: readonly { readonly type: string; readonly key: string; readonly data: string }[];
  } | null;
}

const proofOf = ({ proof }: ShownProof): InferenceProof | undefined =>
  proof
    ? {
        height: BigInt(proof.height),
        storeName: proof.store_name,
        key: fromHex(proof.key),
        value: fromHex(proof.value),
        proofOps: proof.proof_ops.map(({ type, key, data }) => ({ type, key: fromHex(key), data: fromHex(data) })),
      }
    : undefined;

test("anybody re-checks a recorded inference from the chain and an own ML node", async () => {
  net = await startNetwork();
  const { network, openai, chain, rpc } = net;
  // A very short answer is abstained from; the draw of its seed decides how long it gets.
  const answer = await eventually("an answer long enough for a verdict", async () => {
    const given = await openai.completions.create({
      model: network.plan.model,
      prompt: "The following function",
      max_tokens: 40,
    });
    return (given.usage?.completion_tokens ?? 0) >= 16 && given;
  });
  const { inference_id: id } = (answer as unknown as { karat: { inference_id: string } }).karat;
  await eventually("a finish record", async () => {
    const record = await chain.query.inference(fromHex(id));
    return record !== undefined && record.root.length > 0;
  });
  // While validators check it blindly, nobody else sees the artifact.
  await eventually("an end of the chain's own check", async () => {
    const check = await chain.query.check(fromHex(id));
    return check !== undefined && check.decidedHeight > 0n;
  });
  const { ports } = network.plan.participants[1]!;
  const proof = await eventually("a proof of the record", async () => {
    const reply = await fetch(`${url(ports.api)}/karat/v1/inferences/${id}?prove=1`);
    return proofOf((await reply.json()) as ShownProof);
  });
  const appHash = await chain.appHash(proof.height);
  const proven = verifyInferenceProof(fromHex(id), proof, appHash);
  expect(toHex(proven.root)).toBe(toHex((await chain.query.inference(fromHex(id)))!.root));
  const cheaper = { ...proof, value: proof.value.with(-1, proof.value.at(-1)! ^ 1) };
  expect(() => verifyInferenceProof(fromHex(id), cheaper, appHash)).toThrow(/./);
  expect(() => verifyInferenceProof(fromHex(id).with(0, 0), proof, appHash)).toThrow(/./);
  const plot = join(dir, "check.svg");
  const flags = ["--rpc", rpc, "--ml", url(ports.ml), "--api", url(ports.admin), "--plot", plot, "--json"];
  const { stdout } = await run(process.execPath, [MAIN, ...flags, id]);
  const found = JSON.parse(stdout) as { inferenceId: string; verdict: string; tokens: number; positions: unknown[] };
  expect(found).toMatchObject({ inferenceId: id, verdict: "pass" });
  expect(found.positions).toHaveLength(found.tokens);
  expect(readFileSync(plot, "utf8")).toMatch(/^<svg .*<circle /s);
  const forPeople = await run(process.execPath, [MAIN, ...flags.filter((flag) => flag !== "--json"), id]);
  expect(forPeople.stdout).toContain(id);
  expect(forPeople.stdout).toMatch(/distance .*sampling /s);
  const unknown = await run(process.execPath, [MAIN, ...flags, "00".repeat(32)]).catch((error) => error.stderr);
  expect(unknown).toContain("unknown_inference");
});
