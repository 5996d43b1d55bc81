import { KaratError } from "@karat/common";
import { ConsensusParams } from "cosmjs-types/tendermint/types/params";

const NANOS_PER_SECOND = 1_000_000_000n;

/** CometBFT v0.38's defaults: 21 MiB blocks, no gas limit, evidence for 48 h and 100,000 blocks. */
const DEFAULTS = {
  block: { max_bytes: "22020096", max_gas: "-1" },
  evidence: { max_age_num_blocks: "100000", max_age_duration: "172800000000000", max_bytes: "1048576" },
  validator: { pub_key_types: ["ed25519"] },
  version: { app: "0" },
  abci: { vote_extensions_enable_height: "0" },
};

function int64(section: unknown, name: string, fallback: string): bigint {
  const value = (section as Record<string, unknown> | undefined)?.[name] ?? fallback;
  if (typeof value !== "string" || !/^-?\d{1,19}$/.test(value)) {
    throw new KaratError("engine/bad-genesis", "a consensus parameter must be a decimal string", { name, value });
  }
  return BigInt(value);
}

/** Consensus parameters from a genesis file's JSON; what is left out has CometBFT's default. Throws `engine/bad-genesis`. */
export function paramsOfJson(json: unknown): ConsensusParams {
  const given = (json ?? {}) as Record<string, Record<string, unknown> | undefined>;
  const { block, evidence, validator, version, abci } = DEFAULTS;
  const duration = int64(given.evidence, "max_age_duration", evidence.max_age_duration);
  const types = given.validator?.pub_key_types ?? validator.pub_key_types;
  if (!Array.isArray(types) || types.length !== 1 || types[0] !== "ed25519") {
    throw new KaratError("engine/bad-genesis", "validators must have Ed25519 keys", { types });
  }
  return {
    block: {
      maxBytes: int64(given.block, "max_bytes", block.max_bytes),
      maxGas: int64(given.block, "max_gas", block.max_gas),
    },
    evidence: {
      maxAgeNumBlocks: int64(given.evidence, "max_age_num_blocks", evidence.max_age_num_blocks),
      maxAgeDuration: { seconds: duration / NANOS_PER_SECOND, nanos: Number(duration % NANOS_PER_SECOND) },
      maxBytes: int64(given.evidence, "max_bytes", evidence.max_bytes),
    },
    validator: { pubKeyTypes: ["ed25519"] },
    version: { app: int64(given.version, "app", version.app) },
    abci: {
      voteExtensionsEnableHeight: int64(
        given.abci,
        "vote_extensions_enable_height",
        abci.vote_extensions_enable_height,
      ),
    },
  };
}

/** The JSON form, as genesis files and the RPC have it. */
export function consensusParamsJson(params: ConsensusParams) {
  const age = params.evidence?.maxAgeDuration ?? { seconds: 0n, nanos: 0 };
  return {
    block: {
      max_bytes: (params.block?.maxBytes ?? 0n).toString(),
      max_gas: (params.block?.maxGas ?? 0n).toString(),
    },
    evidence: {
      max_age_num_blocks: (params.evidence?.maxAgeNumBlocks ?? 0n).toString(),
      max_age_duration: (age.seconds * NANOS_PER_SECOND + BigInt(age.nanos)).toString(),
      max_bytes: (params.evidence?.maxBytes ?? 0n).toString(),
    },
    validator: { pub_key_types: params.validator?.pubKeyTypes ?? [] },
    version: { app: (params.version?.app ?? 0n).toString() },
    abci: { vote_extensions_enable_height: (params.abci?.voteExtensionsEnableHeight ?? 0n).toString() },
  };
}

/** The JSON of an update: only the sections it has, and in them only what is not zero. */
export function paramUpdatesJson(updates: ConsensusParams): Record<string, Record<string, unknown>> {
  const isZero = (value: unknown) => value === "0" || (Array.isArray(value) && value.length === 0);
  return Object.fromEntries(
    Object.entries(consensusParamsJson(updates))
      .filter(([section]) => updates[section as keyof ConsensusParams] !== undefined)
      .map(([section, values]) => [
        section,
        Object.fromEntries(Object.entries(values).filter(([, value]) => !isZero(value))),
      ]),
  );
}

/** The parameters after the application's updates: a section that is given replaces the whole section. */
export function updateParams(current: ConsensusParams, updates: ConsensusParams | undefined): ConsensusParams {
  if (updates === undefined) return current;
  const next: ConsensusParams = { ...current };
  if (updates.block) next.block = updates.block;
  if (updates.evidence) next.evidence = updates.evidence;
  if (updates.validator) next.validator = updates.validator;
  if (updates.version) next.version = updates.version;
  if (updates.abci) next.abci = updates.abci;
  return ConsensusParams.fromPartial(next);
}
