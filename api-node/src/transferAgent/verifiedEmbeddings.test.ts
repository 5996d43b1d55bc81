/** The fetch of @karat/client with embeddings: the vectors that a client is shown are those whose root the executor has signed. */
import { toBase64 } from "@karat/common";
import { encodeVectors, shortened, vectorBytes } from "@karat/rules";
import type OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { vectorOf } from "../testing/fakeMlNode.ts";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork } from "../testing/testNetwork.ts";
import { failureOf, through, verifiedClient } from "../testing/verifiedClient.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const input = ["The first text", "and another"];
const asked = { model: TEST_MODEL, input };
const ask = (sdk: OpenAI, more: object = {}) => sdk.embeddings.create({ ...asked, ...more });
const ENCODINGS = ["float", "base64"] as const;

describe("honest vectors pass", () => {
  test("in both encodings, and by the package's own choice", async () => {
    const me = await network.join();
    const sdk = verifiedClient(network, me);
    const expected = input.map((text) => [...vectorOf(text)]);
    for (const more of [{}, { encoding_format: "float" }]) {
      expect((await ask(sdk, more)).data.map(({ embedding }) => embedding)).toEqual(expected);
    }
    const bytes = input.map((text) => toBase64(vectorBytes(vectorOf(text))));
    const { data } = await ask(sdk, { encoding_format: "base64", user: "u" });
    expect(data.map(({ embedding }) => embedding)).toEqual(bytes);
    expect((await ask(sdk, { input: "one" })).data).toHaveLength(1);
  });

  test.each([1, 3, 8])("the first %i of their components", async (dimensions) => {
    const me = await network.join();
    const sdk = verifiedClient(network, me);
    const { data } = await ask(sdk, { encoding_format: "float", dimensions });
    expect(data.map(({ embedding }) => embedding)).toEqual(
      input.map((text) => [...shortened(vectorOf(text), dimensions)]),
    );
  });

  test("of a model by another name only where the client knows that name", async () => {
    const alias = "text-embedding-3-small";
    const me = await network.join({}, { aliases: new Map([[alias, TEST_MODEL]]) });
    const knowing = verifiedClient(network, me, { aliases: { [alias]: TEST_MODEL } });
    expect((await ask(knowing, { model: alias })).model).toBe(TEST_MODEL);
    const failure = await failureOf(ask(verifiedClient(network, me), { model: alias }));
    expect(failure).toEqual(["receipt_mismatch", "request_hash"]);
  });

  test("and what the node refuses is refused, where it can be told without being sent", async () => {
    const me = await network.join();
    const sdk = verifiedClient(network, me);
    await expect(ask(sdk, { model: "other" })).rejects.toMatchObject({ status: 404, code: "model_not_found" });
    await expect(ask(sdk, { dimensions: 9 })).rejects.toMatchObject({ status: 400, param: "dimensions" });
    const unsent = verifiedClient(network, me, { fetch: () => Promise.reject(new Error("was sent")) });
    await expect(ask(unsent, { input: [[1, 2]] })).rejects.toMatchObject({ status: 400, param: "input" });
  });
});

interface Answer {
  data: { index: number; embedding: unknown }[];
  usage: { prompt_tokens: number; total_tokens: number };
  karat: Record<string, unknown>;
}

/** The first component as another number, in either encoding. */
function nudged(embedding: unknown): unknown {
  if (Array.isArray(embedding)) return [Math.fround(embedding[0] + 0.01), ...embedding.slice(1)];
  const bytes = Buffer.from(String(embedding), "base64");
  bytes[0]! ^= 1;
  return bytes.toString("base64");
}

const lies: [string, (answer: Answer) => unknown, unknown][] = [
  [
    "another component",
    ({ data }) => Object.assign(data[1]!, { embedding: nudged(data[1]!.embedding) }),
    ["receipt_mismatch", "embedding"],
  ],
  [
    "vectors at each other's places",
    ({ data }) => {
      const [a, b] = data.map(({ embedding }) => embedding);
      Object.assign(data[0]!, { embedding: b });
      Object.assign(data[1]!, { embedding: a });
    },
    ["receipt_mismatch", "embedding"],
  ],
  ["vectors at each other's indices", ({ data }) => data.reverse(), ["receipt_mismatch", "embedding"]],
  ["one left out", ({ data }) => data.pop(), ["receipt_mismatch", "embedding"]],
  [
    "one too many",
    ({ data }) => data.push({ index: 2, embedding: data[0]!.embedding }),
    ["receipt_mismatch", "embedding"],
  ],
  ["no vectors", (answer) => Object.assign(answer, { data: undefined }), ["receipt_mismatch", "embedding"]],
  ["no numbers in one", ({ data }) => Object.assign(data[0]!, { embedding: {} }), ["receipt_mismatch", "embedding"]],
  [
    "more tokens of input",
    ({ usage }) => Object.assign(usage, { prompt_tokens: usage.prompt_tokens + 1 }),
    ["receipt_mismatch", "usage"],
  ],
  ["more tokens in all", ({ usage }) => Object.assign(usage, { total_tokens: 99 }), ["receipt_mismatch", "usage"]],
  ["no receipt", (answer) => Object.assign(answer, { karat: undefined }), "receipt_missing"],
  [
    "somebody else as its executor",
    ({ karat }) => Object.assign(karat, { executor: "karat1other" }),
    ["receipt_mismatch", "executor"],
  ],
];

/** What becomes of an honest answer that something on its way has changed. */
async function failureWith(change: (answer: Answer) => void, more: object): Promise<unknown> {
  const me = await network.join();
  const changed = through((body) => {
    const answer = JSON.parse(body) as Answer;
    change(answer);
    return JSON.stringify(answer);
  });
  return await failureOf(ask(verifiedClient(network, me, { fetch: changed }), more));
}

describe.each(ENCODINGS)("vectors that were changed on their way do not reach the client, as %s", (encoding) => {
  test.each(lies)("%s", async (_name, change, failure) => {
    expect(await failureWith(change, { encoding_format: encoding })).toEqual(failure);
  });

  test("those of other texts, and in the other encoding", async () => {
    const me = await network.join();
    const asking =
      (more: object): typeof fetch =>
      (input, init) =>
        fetch(input, { ...init, body: JSON.stringify({ ...asked, encoding_format: encoding, ...more }) });
    const failure = (more: object) =>
      failureOf(ask(verifiedClient(network, me, { fetch: asking(more) }), { encoding_format: encoding }));
    expect(await failure({ input: ["The first text", "and a third"] })).toEqual(["receipt_mismatch", "request_hash"]);
    const other = ENCODINGS.find((each) => each !== encoding);
    expect(await failure({ encoding_format: other })).toEqual(["receipt_mismatch", "embedding"]);
  });
});

test.each<[string, (answer: Answer) => void, string]>([
  ["first components of other vectors", ({ data }) => Object.assign(data[0]!, { embedding: [1, 0] }), "embedding"],
  ["more of them", ({ data }) => (data[0]!.embedding as number[]).push(0), "embedding"],
  ["of vectors that nobody signed", ({ data, karat }) => Object.assign(karat, forged(data)), "embedding"],
  ["of no vectors", ({ karat }) => Object.assign(karat, { vectors: undefined }), "vectors"],
  ["of something else", ({ karat }) => Object.assign(karat, { vectors: 7 }), "vectors"],
])("%s", async (_name, change, field) => {
  const failure = await failureWith(change, { encoding_format: "float", dimensions: 2 });
  expect(failure).toEqual(["receipt_mismatch", field]);
});

/** Others whose first components are the same. */
const forged = (data: Answer["data"]) => ({
  vectors: toBase64(encodeVectors(data.map(({ embedding }) => Float32Array.from([...(embedding as number[]), 0])))),
});

test("numbers that read back as the same vector, and are others, were shown to the client", async () => {
  const change = ({ data }: Answer): void => {
    (data[0]!.embedding as number[])[0]! *= 1 + 1e-12;
  };
  expect(await failureWith(change, { encoding_format: "float" })).toEqual(["receipt_mismatch", "embedding"]);
});

test("vectors of uneven lengths that are the same bytes together", async () => {
  const change = ({ data }: Answer): void => {
    const [a, b, c] = data.map(({ embedding }) => embedding as number[]);
    data[1]!.embedding = [...b!, ...c!].slice(0, 5);
    data[2]!.embedding = [...b!, ...c!].slice(5);
    expect(a).toHaveLength(8);
  };
  const failure = await failureWith(change, { encoding_format: "float", input: ["a", "b", "c"] });
  expect(failure).toEqual(["receipt_mismatch", "embedding"]);
});
