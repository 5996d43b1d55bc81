import { params } from "@karat/proto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SDK } from "../../app/errors.ts";
import { errorOf, TestChain } from "../testing/context.ts";
import { createParamsModule, DEFAULT_PARAMS, LOCALNET_PARAMS, PARAMS_ERRORS, validateParams } from "./index.ts";

const fields: params.Model = {
  id: "tiny",
  weightsHash: new Uint8Array(32).fill(7),
  contextLength: 2048,
  vocabularySize: 32_000,
  quantization: "f16",
  number: 0,
  detectionMicros: 0,
  embeddingDimensions: 8_192,
};
const model = params.Model.toJSON(fields);

describe("ranges", () => {
  test("both published sets are valid", () => {
    expect(errorOf(() => validateParams(DEFAULT_PARAMS))).toBeUndefined();
    expect(errorOf(() => validateParams(LOCALNET_PARAMS))).toBeUndefined();
  });

  const broken: Record<string, Partial<params.Params>> = {
    "fee shares beyond the whole": { executorBps: 9_000, transferAgentBps: 600, validatorsBps: 500 },
    "ids forgotten before their anchors": { retentionBlocks: LOCALNET_PARAMS.maxAnchorAge - 1n },
    "collateral free before evidence can arrive": { unbondingBlocks: LOCALNET_PARAMS.epochBlocks },
    "an epoch without blocks": { epochBlocks: 0n },
    "a quorum that no committee reaches": { committeeSize: 3, committeeQuorum: 5 },
    "collateral without weight": { collateralPerWeight: LOCALNET_PARAMS.minCollateral + 1n },
    "a rate above one": { checkingFloorMicros: 1_000_001 },
    "an amount near the limit": { epochEmission: 1n << 63n },
    "no bet at all": { alphaMicros: 0 },
    "anchors older than an epoch": { maxAnchorAge: LOCALNET_PARAMS.epochBlocks + 1n },
  };
  test.each(Object.entries(broken))("%s is refused", (_, change) => {
    expect(errorOf(() => validateParams({ ...LOCALNET_PARAMS, ...change }))).toEqual(PARAMS_ERRORS.invalidParams);
  });
});

describe("genesis", () => {
  const init = (state: unknown) => {
    const chain = new TestChain();
    const module = createParamsModule();
    module.initGenesis!(chain.ctx, state);
    return { chain, module };
  };

  test("absent parameters have their defaults, given ones win, in either spelling", () => {
    const { chain, module } = init({
      params: { epochBlocks: "60", duty_deadline: "70", epochEmission: "0" },
      models: [model],
    });
    expect(module.get(chain.ctx)).toEqual({
      ...DEFAULT_PARAMS,
      epochBlocks: 60n,
      dutyDeadline: 70n,
      epochEmission: 0n,
    });
    expect(module.model(chain.ctx, "tiny")?.contextLength).toBe(2048);
    expect(module.model(chain.ctx, "other")).toBeUndefined();
  });

  test.each([
    ["a misspelt parameter", { params: { epochBlock: "40" } }],
    ["a parameter out of range", { params: { executorBps: 10_001 } }],
    ["text for a number", { params: { committeeSize: "many" } }],
    ["a negative number", { params: { epochBlocks: "-1" } }],
    ["the same model twice", { models: [model, model] }],
    ["a model without a hash", { models: [{ id: "x", contextLength: 1, vocabularySize: 1, quantization: "f16" }] }],
    [
      "vectors longer than any rule takes",
      { models: [params.Model.toJSON({ ...fields, embeddingDimensions: 8_193 })] },
    ],
    ["no object", []],
  ])("%s is refused", (_, state) => {
    expect(errorOf(() => init(state))).toEqual(SDK.invalidGenesis);
  });

  test("what is exported imports to the same", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 9n }), fc.integer({ min: 0, max: 10_000 }), (fine, slashBps) => {
        const chain = new TestChain();
        const module = createParamsModule();
        module.set(chain.ctx, { ...LOCALNET_PARAMS, failureFine: fine, slashBps });
        const again = init(JSON.parse(JSON.stringify(module.exportGenesis!(chain.ctx))));
        expect(again.module.get(again.chain.ctx)).toEqual(module.get(chain.ctx));
      }),
    );
  });
});

test("queries answer with parameters and models", () => {
  const chain = new TestChain();
  const module = createParamsModule();
  module.initGenesis!(chain.ctx, { models: [model] });
  const answer = module.queries!["/karat.params.v1.Query/Params"]!(chain.ctx, new Uint8Array());
  expect(params.QueryParamsResponse.decode(answer).params).toEqual(DEFAULT_PARAMS);
  const models = module.queries!["/karat.params.v1.Query/Models"]!(chain.ctx, new Uint8Array());
  expect(params.QueryModelsResponse.decode(models).models.map(({ id }) => id)).toEqual(["tiny"]);
  expect(errorOf(() => module.queries!["/karat.params.v1.Query/Params"]!(chain.ctx, Uint8Array.of(0x0a, 9)))).toEqual(
    SDK.invalidRequest,
  );
});
