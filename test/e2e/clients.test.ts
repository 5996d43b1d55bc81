import { decodeTxRaw } from "@cosmjs/proto-signing";
import { QueryClient, StargateClient } from "@cosmjs/stargate";
import { Comet38Client } from "@cosmjs/tendermint-rpc";
import { verifiedFetch, verifyDelivery } from "@karat/client";
import { fromBase64, fromHex, toHex } from "@karat/common";
import { createKaratRegistry, inference, refOf, type reward, sign, typeUrls, verification } from "@karat/proto";
import { requestHash, sanitizeRequest } from "@karat/rules";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isDecided, watch } from "../../scripts/localnet/lib/inference.ts";
import { eventually, startNetwork, type TestNetwork } from "./support.ts";

let net: TestNetwork;
beforeAll(async () => {
  net = await startNetwork();
});
afterAll(() => net?.close());

const model = "karat-tiny";
const messages = [{ role: "user" as const, content: "What does os.rename() do?" }];

describe("a client with nothing but the openai package", () => {
  test("lists the model", async () => {
    const { data } = await net.openai.models.list();
    expect(data.map((m) => m.id)).toEqual([model]);
    expect((await net.openai.models.retrieve(model)).object).toBe("model");
  });

  test("gets a plain answer with logprobs and a receipt that fits what it sent and received", async () => {
    const body = { model, messages, max_tokens: 24, logprobs: true, top_logprobs: 3 };
    const { data, response } = await net.openai.chat.completions.create(body).withResponse();
    const choice = data.choices[0]!;
    expect(choice.message.content).not.toBe("");
    expect(choice.logprobs?.content?.[0]?.top_logprobs).toHaveLength(3);
    expect(choice.logprobs?.content?.[0]?.logprob).toBeLessThanOrEqual(0);
    expect(data.usage?.completion_tokens).toBeGreaterThan(0);
    const { karat } = data as unknown as { karat: Record<string, string> };
    expect(karat.inference_id).toBe(response.headers.get("x-karat-inference-id"));
    const transferAgent = await net.chain.query.participant(karat.transfer_agent!);
    const receipt = verifyDelivery({
      requestHash: requestHash(sanitizeRequest(body)),
      text: choice.message.content!,
      receipt: fromBase64(karat.receipt!),
      signature: fromBase64(karat.signature!),
      nodeKey: transferAgent!.nodeKey,
    });
    expect(receipt.completionTokens).toBe(data.usage?.completion_tokens);
  });

  test("gets a streamed answer: role first, usage last, the same text as its chunks", async () => {
    const stream = net.openai.chat.completions.stream({
      model,
      messages,
      max_tokens: 24,
      logprobs: true,
      stream_options: { include_usage: true },
    });
    const roles: (string | undefined)[] = [];
    let text = "";
    stream.on("chunk", (chunk) => {
      if (chunk.choices[0]) roles.push(chunk.choices[0].delta.role);
      text += chunk.choices[0]?.delta.content ?? "";
    });
    const final = await stream.finalChatCompletion();
    expect(roles[0]).toBe("assistant");
    expect(final.choices[0]?.message.content).toBe(text);
    expect(final.usage?.completion_tokens).toBeGreaterThan(0);
  });

  test("gets a legacy completion", async () => {
    const answer = await net.openai.completions.create({ model, prompt: "The function os.rename(", max_tokens: 8 });
    expect(answer.choices[0]?.text).not.toBe("");
  });
});

test("a client that compares every answer with its receipt gets chats and responses, whole and streamed", async () => {
  const nodeKeyOf = async (operator: string) => (await net.chain.query.participant(operator))?.nodeKey;
  const fetch = verifiedFetch({ chainId: net.chain.chainId, nodeKeyOf });
  const { endpoint: baseURL, apiKey } = net.network;
  const openai = new OpenAI({ baseURL, apiKey, maxRetries: 0, fetch });
  const properties = { ok: { type: "boolean" } };
  const parameters = { type: "object", properties, required: ["ok"], additionalProperties: false };
  const tools = [{ type: "function" as const, name: "tell", parameters, strict: true }];
  const asked = { model, instructions: "Be brief.", input: messages, max_output_tokens: 24 };
  expect((await openai.chat.completions.create({ model, messages, max_tokens: 24 })).choices).toHaveLength(1);
  expect((await openai.responses.create(asked)).output_text).not.toBe("");
  expect((await openai.responses.stream(asked).finalResponse()).output_text).not.toBe("");
  const called = { ...asked, tools, tool_choice: "required" as const, max_output_tokens: 160 };
  const { output } = await openai.responses.create(called);
  expect(output[0]).toMatchObject({ type: "function_call", name: "tell" });
  const other = new OpenAI({ baseURL, apiKey, maxRetries: 0, fetch: verifiedFetch({ chainId: "other", nodeKeyOf }) });
  await expect(other.responses.create(asked)).rejects.toMatchObject({ cause: { code: "receipt_mismatch" } });
});

test("a client may keep request and answer off the chain: validators fetch them from the payload stores", async () => {
  const body = { model, messages, max_tokens: 40 };
  const { response } = await net.openai.chat.completions
    .create(body, { headers: { "x-karat-recording": "commit" } })
    .withResponse();
  const id = response.headers.get("x-karat-inference-id")!;
  const { record, check } = await watch(net.chain, id, isDecided, 60_000);
  expect(record?.recording).toBe(sign.RecordingMode.COMMIT);
  expect([verification.CheckStatus.VALID, verification.CheckStatus.ABSTAINED]).toContain(check?.status);
  // Other inferences may ride in the same transaction with their payloads.
  const [tx] = await net.chain.txSearch(`inference_finish.inference_id='${id}'`);
  const batches = net.chain.messagesOf(tx!.bytes).filter(({ typeUrl }) => typeUrl === typeUrls.records);
  const finishes = batches.flatMap(({ value }) => (value as inference.MsgRecords).finishes);
  const own = finishes.find(({ ref }) => ref === refOf(fromHex(id)))!;
  expect(own.opening).toBeUndefined();
  expect(own.root).toEqual(record?.root);
});

test("a constrained answer keeps to its constraint, and validators that recompute it find it valid", async () => {
  const parameters = {
    type: "object",
    properties: {
      path: { type: "string", minLength: 50, maxLength: 70 },
      times: { type: "integer", minimum: 1, maximum: 9 },
    },
    required: ["path", "times"],
    additionalProperties: false,
  };
  const call = { tools: [{ type: "function" as const, function: { name: "rename", strict: true, parameters } }] };
  const json_schema = { name: "rename", strict: true, schema: parameters };
  const format = { response_format: { type: "json_schema" as const, json_schema } };
  const { VALID, ABSTAINED } = verification.CheckStatus;
  for (const constraint of [{ ...call, tool_choice: "required" as const }, format]) {
    // A busy machine's validators may miss their deadline: then the answer was not judged, and another one is asked for.
    const statuses: (verification.CheckStatus | undefined)[] = [];
    while (!statuses.includes(VALID) && statuses.length < 6) {
      const body = { model, messages, max_tokens: 160, ...constraint };
      const { data, response } = await net.openai.chat.completions.create(body).withResponse();
      const { message } = data.choices[0]!;
      const called = message.tool_calls?.[0];
      const text = called?.type === "function" ? called.function.arguments : message.content!;
      expect(Object.keys(JSON.parse(text))).toEqual(["path", "times"]);
      const { check } = await watch(net.chain, response.headers.get("x-karat-inference-id")!, isDecided, 90_000);
      statuses.push(check?.status);
      expect([VALID, ABSTAINED]).toContain(check?.status);
    }
    expect(statuses).toContain(VALID);
  }
});

describe("a client with nothing but @cosmjs/stargate and the proto types", () => {
  test("reads start, finish, delivery, verdict and the reward claim", async () => {
    const { response } = await net.openai.chat.completions.create({ model, messages, max_tokens: 40 }).withResponse();
    const id = response.headers.get("x-karat-inference-id")!;
    const client = await StargateClient.connect(net.rpc);
    const registry = createKaratRegistry();
    const messageOf = async <T>(event: string, typeUrl: string): Promise<T> =>
      eventually(`${event} of ${id}`, async () => {
        for (const tx of await client.searchTx(`${event}.inference_id='${id}'`)) {
          const any = decodeTxRaw(tx.tx).body.messages.find((m) => m.typeUrl === typeUrl);
          if (tx.code === 0 && any) return registry.decode(any) as T;
        }
        return undefined;
      });
    const start = await messageOf<inference.MsgRecords>("inference_start", typeUrls.records);
    const finish = await messageOf<inference.MsgRecords>("inference_finish", typeUrls.records);
    const delivery = await messageOf<inference.MsgRecords>("inference_delivery", typeUrls.records);
    const verdicts = await messageOf<verification.MsgSubmitVerdicts>("verdict", typeUrls.submitVerdicts);
    const ref = refOf(fromHex(id));
    const finished = finish.finishes.find((entry) => entry.ref === ref)!;
    // The executor records start and finish, the transfer agent that it delivered what the finish says; and the start as well
    // where it asked a second executor because the first was slow.
    expect(start.starts.length).toBeGreaterThan(0);
    expect([finish.sender, delivery.sender]).toContain(start.sender);
    expect(delivery.delivered).toContain(ref);
    expect(verdicts.verdicts.find((v) => toHex(v.inferenceId) === id)?.verdict).toBe(verification.Verdict.VALID);

    const rpc = await Comet38Client.connect(net.rpc);
    const query = new QueryClient(rpc);
    const record = await eventually("settlement", async () => {
      const request = inference.QueryInferenceRequest.encode({ id: fromHex(id) }).finish();
      const { value } = await query.queryAbci("/karat.inference.v1.Query/Inference", request);
      const found = inference.QueryInferenceResponse.decode(value).inference;
      return found?.status === inference.InferenceStatus.SETTLED && found;
    });
    expect(record.completionTokens).toBe(finished.completionTokens);

    const claim = await eventually(
      "a reward claim",
      async () => (await client.searchTx(`message.action='${typeUrls.claimRewards}'`)).findLast((tx) => tx.code === 0), // rows of old epochs are gone
    );
    const any = decodeTxRaw(claim.tx).body.messages[0]!;
    const { epoch, sender } = registry.decode(any) as reward.MsgClaimRewards;
    const claimer = await net.chain.query.participant(sender);
    const row = await net.chain.query.epochReward(epoch, claimer!.operator);
    expect(row?.claimed).toBe(true);
    client.disconnect();
    rpc.disconnect();
  });
});
