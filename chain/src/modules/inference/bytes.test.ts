import { sha256, signDigest, utf8 } from "@karat/common";
import { encodeSigned, type inference, type OpenBatch, sign, typeUrls } from "@karat/proto";
import { DEFAULT_SAMPLING } from "@karat/rules";
import { expect, test } from "vitest";
import { AppHarness, TEST_MODEL } from "../../app/testing/index.ts";
import { compacted, openFinish } from "../testing/numbers.ts";

const NONE = new Uint8Array();

const COUNT = 64;

/** Inferences as a busy node records them. */
function traffic() {
  const harness = new AppHarness({ participants: 8, clients: 1, clientDeposit: 1_000n });
  const [executor, agent] = harness.participants as [
    (typeof harness.participants)[0],
    (typeof harness.participants)[0],
  ];
  const [client] = harness.clients as [(typeof harness.clients)[0]];
  // Its account has its key from now on.
  harness.execute(client, { typeUrl: typeUrls.deposit, value: { sender: client.address, client: "", amount: 1n } });
  const { chainId } = harness;
  const records = Array.from({ length: COUNT }, (_, n) => {
    const authorization = encodeSigned("authorization", {
      chainId,
      client: client.address,
      key: client.publicKey,
      model: TEST_MODEL.id,
      requestHash: sha256(utf8(`request ${n}`)),
      maxInputTokens: 1_000 + n,
      maxOutputTokens: 1_000,
      maxInputPrice: 1_000n,
      maxOutputPrice: 2_000n,
      sampling: { ...DEFAULT_SAMPLING },
      nonce: sha256(utf8(String(n))).subarray(0, 8),
      anchorHeight: harness.height - BigInt(n % 3),
      transferAgent: agent.operator.address,
      recording: sign.RecordingMode.COMMIT,
    });
    const inferenceId = sha256(authorization);
    const promise = { executor: executor.operator.address, attempt: 0, promptTokens: 200 + n };
    const receipt = encodeSigned("receipt", { chainId, inferenceId, ...promise, deadlineHeight: harness.height + 60n });
    const start: inference.StartRecord = {
      authorization,
      signature: signDigest(inferenceId, client.privateKey),
      receipt,
      receiptSignature: new Uint8Array(64),
      skips: [],
      request: NONE,
      prefix: undefined,
    };
    const finish: inference.FinishRecord = {
      inferenceId,
      executor: executor.operator.address,
      outputHash: inferenceId,
      artifactRoot: inferenceId,
      promptHash: inferenceId,
      promptTokens: 200 + n,
      receiptPromptTokens: 200 + n,
      completionTokens: 300 + n,
      finishReason: sign.FinishReason.STOP,
      output: NONE,
      tokenIds: [],
      artifact: NONE,
      prefixTokenIds: [],
      error: "",
    };
    return { inferenceId, start, finish };
  });
  /** Bytes for each, signatures and transaction included. */
  const bytesOf = (kinds: Omit<OpenBatch, "sender" | "operator">): number => {
    const by = { sender: executor.node.address, operator: executor.operator.address };
    const value = harness.read((ctx) => compacted(ctx, { ...by, ...kinds }));
    return harness.tx(executor.node, { typeUrl: typeUrls.records, value }, { free: true }).length / COUNT;
  };
  return { records, chainId, bytesOf };
}

test("start, finish and delivery of an inference without payload take at most 200 bytes, signatures and transaction included", () => {
  const { records, chainId, bytesOf } = traffic();
  expect(
    bytesOf({
      starts: records.map(({ start }) => start),
      finishes: records.map(({ finish }) => openFinish(chainId, finish)),
      delivered: records.map(({ inferenceId }) => inferenceId),
    }),
  ).toBeLessThanOrEqual(200);
});

test("the start of a part that goes on with an answer takes at most 190 bytes, with one signature, which is not the client's", () => {
  const { records, bytesOf } = traffic();
  const skips = [{ reason: "broke:silent", busySignature: NONE }];
  const starts = records.map(({ start, inferenceId }) => ({
    ...start,
    skips,
    prefix: { tokens: 200, hash: inferenceId },
  }));
  expect(bytesOf({ starts })).toBeLessThanOrEqual(190);
});
