import { authorize, continuationId, openAuthorization, signMessage } from "@karat/client";
import { fromHex, newPrivateKey, sha256, signDigest, toHex, utf8 } from "@karat/common";
import { inference, sign, statementOf } from "@karat/proto";
import { canonicalJson, requestHash, samplingOf, samplingSeed, sanitizeRequest } from "@karat/rules";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Candidate, drawExecutors } from "../chain/candidates.ts";
import { PeerAuthentication } from "../peers/authentication.ts";
import { EXECUTE_PATH, RemoteExecutors } from "../peers/remoteExecutor.ts";
import { encodeExecuteRequest } from "../peers/wire.ts";
import { newIdentity, TEST_CHAIN, TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";
import type { ExecuteRequest } from "./protocol.ts";

let network: TestNetwork;
let executor: TestParticipant;
let agent: TestParticipant;
beforeEach(async () => {
  network = new TestNetwork();
  executor = await network.join();
  agent = await network.join();
});
afterEach(() => network.close());

const sanitized = sanitizeRequest({ model: TEST_MODEL, messages: [{ role: "user", content: "Say hello." }] });

type Terms = Parameters<typeof authorize>[0];
/** An order whose draw begins with the executor, as an honest transfer agent would send it. */
function order(change: Partial<Terms> = {}, attempt = 0): ExecuteRequest & { id: Uint8Array } {
  for (let tries = 0; tries < 200; tries++) {
    const made = authorize({
      chainId: TEST_CHAIN,
      privateKey: network.clientKey,
      model: TEST_MODEL,
      requestHash: requestHash(sanitized),
      maxInputTokens: 100,
      maxOutputTokens: 50,
      maxInputPrice: 1n,
      maxOutputPrice: 2n,
      sampling: samplingOf(sanitized),
      anchorHeight: network.view.current - 1n,
      transferAgent: agent.identity.operator,
      recording: sign.RecordingMode.FULL,
      ...change,
    });
    const beacon = network.view.beacon(made.message.anchorHeight) ?? new Uint8Array(32);
    const drawn = drawExecutors(network.view, made.message, beacon, made.inferenceId);
    if (drawn[0]?.member.operator !== executor.identity.operator) continue;
    const { bytes: authorization, signature, inferenceId: id } = made;
    return { authorization, signature, request: canonicalJson(sanitized), attempt, skips: [], id };
  }
  throw new Error("never drawn");
}

/** An order for two vectors. */
function embedding(change: Partial<Terms> = {}): ExecuteRequest & { id: Uint8Array } {
  const texts = sanitizeRequest({ model: TEST_MODEL, input: ["a", "b"] });
  const asked = order({ requestHash: requestHash(texts), maxOutputTokens: 2, ...change });
  return { ...asked, request: canonicalJson(texts) };
}

/** The same order behind tokens of another, as its transfer agent says. */
function behind(request: ExecuteRequest & { id: Uint8Array }, prefix: readonly number[]): ExecuteRequest {
  const part = continuationId({ chainId: TEST_CHAIN, orderId: request.id, attempt: request.attempt, prefix });
  const prefixSignature = signDigest(part, agent.identity.privateKey);
  return { ...request, prefix, prefixSignature, orderStart: orderStart(request) };
}

/** What the transfer agent has of the one that began. */
function orderStart({ authorization, signature, id }: ExecuteRequest & { id: Uint8Array }): Uint8Array {
  const { bytes: receipt, signature: receiptSignature } = signMessage(
    "receipt",
    {
      chainId: TEST_CHAIN,
      inferenceId: id,
      attempt: 0,
      executor: agent.identity.operator,
      promptTokens: 5,
      deadlineHeight: 150n,
    },
    agent.identity.privateKey,
  );
  return inference.StartRecord.encode(
    inference.StartRecord.fromPartial({ authorization, signature, receipt, receiptSignature }),
  ).finish();
}

type Line = Record<string, unknown> & { type?: string; error?: { code: string } };
async function execute(request: ExecuteRequest, sender = agent): Promise<{ status: number; lines: Line[] }> {
  const body = utf8(encodeExecuteRequest(request));
  const authentication = new PeerAuthentication(network.view, sender.identity);
  const headers = authentication.headers(executor.identity.operator, "POST", EXECUTE_PATH, body);
  const response = await fetch(executor.url + EXECUTE_PATH, { method: "POST", headers, body });
  const text = await response.text();
  return {
    status: response.status,
    lines: text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Line),
  };
}
const drawnFirst = ({ authorization, signature }: ExecuteRequest): readonly [Candidate, ...Candidate[]] => {
  const { message, inferenceId } = openAuthorization(authorization, signature);
  const [first, ...others] = drawExecutors(
    network.view,
    message,
    network.view.beacon(message.anchorHeight)!,
    inferenceId,
  );
  return [first!, ...others];
};
const codeOf = ({ lines }: { lines: Line[] }): string | undefined => lines.at(-1)?.error?.code;

describe("an executor", () => {
  test("gives a receipt, then the tokens, then a signed response, and records the finish", async () => {
    const asked = order();
    const { lines } = await execute(asked);
    expect(lines.map(({ type }) => type)).toEqual(["receipt", "token", "token", "token", "token", "end"]);
    const receipt = sign.Receipt.decode(Buffer.from(String(lines[0]?.receipt), "base64"));
    expect(receipt).toMatchObject({ attempt: 0, executor: executor.identity.operator, deadlineHeight: 160n });
    const [start, finish] = executor.records;
    // Half of the time that a start has, should the transfer agent close the connection now.
    expect(start).toMatchObject({ kind: "start", deadlineHeight: 119n, notBefore: 110n });
    expect(finish).toMatchObject({ kind: "finish", deadlineHeight: 160n });
    const record = inference.FinishRecord.decode(finish!.record);
    expect(Buffer.from(record.output).toString()).toBe("Hello world");
    expect(record.tokenIds).toEqual([0, 1, 2, 3]);
    expect(record).toMatchObject({ executor: executor.identity.operator, receiptPromptTokens: record.promptTokens });
    expect(inference.StartRecord.decode(start!.record).authorization).toEqual(asked.authorization);
    const response = Buffer.from(String(lines.at(-1)?.response), "base64");
    expect(sha256(statementOf(TEST_CHAIN, record))).toEqual(sha256(response));
  });

  test("gives a receipt, then all vectors of an embedding at once", async () => {
    const { lines } = await execute(embedding());
    expect(lines.map(({ type }) => type)).toEqual(["receipt", "end"]);
    expect(executor.records.map(({ kind }) => kind)).toEqual(["start", "finish"]);
  });

  test("has its ML node sample with the seed that chain, id and beacon give", async () => {
    const asked = order();
    await execute(asked);
    const beacon = network.view.beacon(network.view.current - 1n)!;
    const seed = samplingSeed(TEST_CHAIN, asked.id, beacon, new Uint8Array());
    expect(fromHex(String(executor.ml.bodies[0]?.seed))).toEqual(seed);
    expect(executor.ml.bodies[0]?.max_tokens).toBe(50);
  });

  test("keeps the payload's bytes off the record when only hashes go on chain", async () => {
    await execute(order({ recording: sign.RecordingMode.COMMIT }));
    const finish = inference.FinishRecord.decode(executor.records.find(({ kind }) => kind === "finish")!.record);
    expect(finish.output).toHaveLength(0);
    const root = toHex(sha256(statementOf(TEST_CHAIN, finish)));
    const whole = executor.payloads.find(({ hash }) => toHex(hash) === root);
    expect(Buffer.from(inference.FinishRecord.decode(whole!.bytes).output).toString()).toBe("Hello world");
  });

  test("executes an id once", async () => {
    const asked = order();
    await execute(asked);
    expect(codeOf(await execute(asked))).toBe("authorization_reused");
    expect(executor.ml.begun).toBe(1);
  });

  test("goes on behind another's tokens once, for as long as their order may be continued", async () => {
    const part = behind(order(), [0, 1]);
    expect((await execute(part)).lines.at(-1)?.type).toBe("end");
    // A second run could be cut off elsewhere: two statements of one inference would convict their executor.
    network.view.current += 25n;
    executor.executed.forgetBelow(network.view.current - network.view.params().maxAnchorAge);
    expect(codeOf(await execute(part))).toBe("authorization_reused");
    expect(executor.ml.begun).toBe(1);
  });

  test("that goes on records the start of its order, too, should nobody else have", async () => {
    const asked = order();
    const part = behind(asked, [0, 1]);
    await execute(part);
    const starts = executor.records.filter(({ kind }) => kind === "start");
    const [own, first] = starts;
    expect(starts).toHaveLength(2);
    expect(toHex(own!.inferenceId)).not.toBe(toHex(asked.id));
    expect(first).toMatchObject({ inferenceId: asked.id, deadlineHeight: 119n, notBefore: 110n, awaits: "start" });
    expect(toHex(first!.record)).toBe(toHex(part.orderStart!));
  });

  test("that goes on needs no more of the deposit than to read: the rest is held for the order", async () => {
    network.view.fund(network.client, 110n);
    expect(codeOf(await execute(order()))).toBe("insufficient_deposit");
    expect((await execute(behind(order(), [0, 1]))).lines.at(-1)?.type).toBe("end");
  });

  test("that could not begin may be asked for the same id again", async () => {
    const asked = order();
    network.view.fund(network.client, 0n);
    expect(codeOf(await execute(asked))).toBe("insufficient_deposit");
    network.view.fund(network.client, 1_000n);
    expect((await execute(asked)).lines.at(-1)?.type).toBe("end");
  });
});

test("a cancelled request frees its ML node at once, though it has not said yet how long the prompt is", async () => {
  executor.ml.script.tokenizeMs = 60_000; // longer than the test waits
  const leaving = new AbortController();
  const remote = new RemoteExecutors(new PeerAuthentication(network.view, agent.identity));
  const [self] = drawnFirst(order());
  const ask = async (): Promise<void> => {
    for await (const lines of remote.of(self).execute(order(), leaving.signal)) expect(lines[0]?.type).toBe("error");
  };
  const requests = Array.from({ length: 8 }, ask);
  await vi.waitFor(() => expect(executor.pool.states()[0]?.running).toBe(8));
  leaving.abort();
  await Promise.all(requests);
  await vi.waitFor(() => expect(executor.pool.states()[0]?.running).toBe(0));
  executor.ml.script.tokenizeMs = 0;
  expect((await execute(order())).lines.at(-1)?.type).toBe("end");
  await remote.close();
});

describe("an executor refuses", () => {
  test.each<[string, () => ExecuteRequest, string]>([
    [
      "an attempt it is not drawn for",
      () => ({ ...order(), attempt: 1, skips: [{ attempt: 0, reason: "busy" }] }),
      "not_drawn",
    ],
    ["an attempt beyond the draw", () => ({ ...order(), attempt: 7 }), "not_drawn"],
    [
      "skips that do not account for the attempts",
      () => ({ ...order(), skips: [{ attempt: 0, reason: "x" }] }),
      "invalid_authorization",
    ],
    [
      "another request than the authorized one",
      () => ({ ...order(), request: canonicalJson({ ...sanitized, top_p: 0.5 }) }),
      "invalid_authorization",
    ],
    [
      "a request that is not canonical",
      () => ({ ...order(), request: `${canonicalJson(sanitized)} ` }),
      "invalid_authorization",
    ],
    ["an authorization for another chain", () => order({ chainId: "other" }), "invalid_authorization"],
    ["one for another transfer agent", () => order({ transferAgent: "karat1other" }), "invalid_authorization"],
    [
      "other sampling parameters than those of the request",
      () => order({ sampling: { ...samplingOf(sanitized), topK: 1 } }),
      "invalid_authorization",
    ],
    ["an anchor in the future", () => order({ anchorHeight: network.view.current + 1n }), "stale_anchor"],
    [
      "an anchor too old to be recorded in time",
      () => order({ anchorHeight: network.view.current - 11n }),
      "stale_anchor",
    ],
    [
      "to go on where the transfer agent has not signed that it is to",
      () => ({ ...order(), prefix: [0] }),
      "invalid_authorization",
    ],
    [
      "to go on behind other tokens than it signed",
      () => ({ ...behind(order(), [0]), prefix: [1] }),
      "invalid_authorization",
    ],
    [
      "to go on without the start of the order, by which it could be paid",
      () => {
        const { orderStart: _, ...part } = behind(order(), [0]);
        return part;
      },
      "invalid_authorization",
    ],
    [
      "to go on with the start of another order",
      () => ({ ...behind(order(), [0]), orderStart: orderStart(order()) }),
      "invalid_authorization",
    ],
    [
      "to go on with no start at all",
      () => ({ ...behind(order(), [0]), orderStart: utf8("start") }),
      "invalid_authorization",
    ],
    [
      "an embedding with another number of tokens than of texts",
      () => embedding({ maxOutputTokens: 3 }),
      "invalid_authorization",
    ],
    [
      "an embedding of more than can be checked in time",
      () => embedding({ maxInputTokens: 65_537 }),
      "invalid_authorization",
    ],
    ["to go on with an embedding", () => behind(embedding(), [0]), "invalid_request"],
    [
      "an embedding of a model that gives none",
      () => {
        network.view.embeddingDimensions = 0;
        return embedding();
      },
      "model_not_found",
    ],
    ["a prompt longer than authorized", () => order({ maxInputTokens: 1 }), "context_length_exceeded"],
  ])("%s", async (_name, make, code) => {
    expect(codeOf(await execute(make()))).toBe(code);
    expect(executor.records).toEqual([]);
  });

  test("prices below its own: it is not drawn", async () => {
    expect(() => order({ maxInputPrice: 0n })).toThrow("never drawn");
  });

  test("a signature by another key", async () => {
    const asked = order();
    const other = signMessage("authorization", sign.RequestAuthorization.decode(asked.authorization), newPrivateKey());
    expect(codeOf(await execute({ ...asked, signature: other.signature }))).toBe("invalid_authorization");
  });

  test("a peer that is not registered, and one that signs with another key", async () => {
    expect((await execute(order(), { ...agent, identity: newIdentity() })).status).toBe(401);
    const forged = { ...agent.identity, privateKey: newPrivateKey() };
    const answer = await execute(order(), { ...agent, identity: forged });
    expect([answer.status, codeOf(answer)]).toEqual([401, "peer_unauthorized"]);
  });
});
