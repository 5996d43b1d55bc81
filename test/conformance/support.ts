/** An API node with a real model behind it, on a scripted chain: what a client of the OpenAI API meets. */
import { readFileSync } from "node:fs";
import { verifiedFetch } from "@karat/client";
import { silentLogger } from "@karat/common";
import { readConfig, startMlNode } from "@karat/ml-node";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import OpenAI from "openai";
import { TEST_MODEL } from "../../api-node/src/testing/fakeView.ts";
import { TestNetwork } from "../../api-node/src/testing/testNetwork.ts";

export const MODEL = TEST_MODEL;
/** Of the vectors of karat-tiny. */
export const DIMENSIONS = 160;

export interface Endpoint {
  readonly baseURL: string;
  readonly apiKey: string;
  /** Lets no answer through that differs from its signed receipt. */
  readonly openai: OpenAI;
  close(): Promise<void>;
}

export async function startEndpoint(): Promise<Endpoint> {
  const ml = await startMlNode(readConfig(["--port", "0", "--name", MODEL], {}), silentLogger);
  const network = new TestNetwork();
  network.view.fund(network.client, 1_000_000_000n);
  network.view.embeddingDimensions = DIMENSIONS;
  const { url, identity } = await network.join({}, {}, { mlUrl: `http://127.0.0.1:${ml.port}` });
  const baseURL = `${url}/v1`;
  const nodeKeyOf = async (who: string) => (who === identity.operator ? identity.publicKey : undefined);
  const fetch = verifiedFetch({ chainId: network.view.chainId, nodeKeyOf });
  return {
    baseURL,
    apiKey: network.apiKey,
    openai: new OpenAI({ baseURL, apiKey: network.apiKey, maxRetries: 0, fetch }),
    close: async () => {
      await network.close();
      await ml.close();
    },
  };
}

/** OpenAI's own schemas, cut down to what Karat answers. */
export class Schemas {
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor() {
    const path = new URL("../vectors/openai-schemas.json", import.meta.url);
    this.#ajv.addSchema(JSON.parse(readFileSync(path, "utf8")), "openai");
  }

  /** What is wrong with a value; empty when it is as the schema has it. */
  problems(name: string, value: unknown): string[] {
    const known = this.#validators.get(name);
    const validate = known ?? this.#ajv.compile({ $ref: `openai#/components/schemas/${name}` });
    this.#validators.set(name, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${name}${instancePath} ${message}`);
  }
}
