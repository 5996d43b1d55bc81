import { readFile } from "node:fs/promises";
import { KaratError } from "@karat/common";
import type { Timestamp } from "cosmjs-types/google/protobuf/timestamp";
import type { ConsensusParams } from "cosmjs-types/tendermint/types/params";
import type { Ed25519Key } from "./keys.ts";
import { publicKeyJson } from "./keys.ts";
import { consensusParamsJson, paramsOfJson } from "./params.ts";
import { formatTime, parseTime, timestampOf } from "./time.ts";
import { type ValidatorInfo, validatorOf } from "./validators.ts";

/** The JSON of a genesis file, in CometBFT v0.38's format. 64-bit numbers are decimal strings. */
export interface GenesisJson {
  readonly genesis_time: string;
  readonly chain_id: string;
  readonly initial_height?: string;
  readonly consensus_params?: unknown;
  readonly validators?: readonly {
    readonly address?: string;
    readonly pub_key: { readonly type: string; readonly value: string };
    readonly power: string;
    readonly name?: string;
  }[];
  readonly app_hash?: string;
  readonly app_state?: unknown;
}

/** A genesis that was read and checked. */
export interface Genesis {
  readonly chainId: string;
  readonly time: Timestamp;
  readonly initialHeight: bigint;
  readonly params: ConsensusParams;
  readonly validators: readonly ValidatorInfo[];
  readonly names: readonly string[];
  /** What the application gets as `appStateBytes`. */
  readonly appState: unknown;
}

function refuse(reason: string, data: Record<string, unknown> = {}): never {
  throw new KaratError("engine/bad-genesis", `the genesis is invalid: ${reason}`, data);
}

/** Reads and checks a genesis; throws `engine/bad-genesis`. */
export function parseGenesis(json: GenesisJson): Genesis {
  if (typeof json !== "object" || json === null) refuse("not an object");
  if (typeof json.chain_id !== "string" || json.chain_id === "" || json.chain_id.length > 50) {
    refuse("chain_id must have 1 to 50 characters", { chainId: json.chain_id });
  }
  if (!/^[1-9]\d{0,17}$/.test(json.initial_height ?? "1")) refuse("initial_height", { value: json.initial_height });
  if (typeof json.genesis_time !== "string") refuse("genesis_time is missing");
  if (json.app_hash !== undefined && json.app_hash !== "") refuse("an app_hash is not supported: InitChain gives it");
  const validators = json.validators ?? [];
  if (!Array.isArray(validators)) refuse("validators must be a list");
  return {
    chainId: json.chain_id,
    time: parseTime(json.genesis_time),
    initialHeight: BigInt(json.initial_height ?? "1"),
    params: paramsOfJson(json.consensus_params),
    validators: validators.map((validator) => {
      const key = Buffer.from(String(validator.pub_key?.value ?? ""), "base64");
      if (validator.pub_key?.type !== "tendermint/PubKeyEd25519" || key.length !== 32) {
        refuse("a validator's key must be Ed25519", { key: validator.pub_key });
      }
      const power: unknown = validator.power;
      if (typeof power !== "string" || !/^[1-9]\d{0,17}$/.test(power)) refuse("a validator's power", { power });
      return validatorOf(new Uint8Array(key), BigInt(validator.power));
    }),
    names: validators.map((validator) => String(validator.name ?? "")),
    appState: json.app_state ?? {},
  };
}

/** The complete JSON of a genesis, defaults filled in: what `genesis` of the RPC answers. */
export function genesisJson(genesis: Genesis): Required<GenesisJson> {
  return {
    genesis_time: formatTime(genesis.time),
    chain_id: genesis.chainId,
    initial_height: genesis.initialHeight.toString(),
    consensus_params: consensusParamsJson(genesis.params),
    validators: genesis.validators.map((validator, index) => ({
      address: Buffer.from(validator.address).toString("hex").toUpperCase(),
      pub_key: publicKeyJson(validator.pubKey.ed25519!),
      power: validator.power.toString(),
      name: genesis.names[index] ?? "",
    })),
    app_hash: "",
    app_state: genesis.appState,
  };
}

/** A genesis with one validator: what a single-node network starts from. `timeMs` is milliseconds since 1970. */
export function singleValidatorGenesis(options: {
  chainId: string;
  timeMs: number;
  validator: Ed25519Key;
  power?: bigint;
  consensusParams?: unknown;
  appState: unknown;
}): GenesisJson {
  return {
    genesis_time: formatTime(timestampOf(BigInt(options.timeMs) * 1_000_000n)),
    chain_id: options.chainId,
    initial_height: "1",
    consensus_params: consensusParamsJson(paramsOfJson(options.consensusParams)),
    validators: [
      { pub_key: publicKeyJson(options.validator.publicKey), power: (options.power ?? 10n).toString(), name: "" },
    ],
    app_hash: "",
    app_state: options.appState,
  };
}

/** Reads a genesis file; throws `engine/bad-genesis` when it is not JSON. */
export async function readGenesis(path: string): Promise<GenesisJson> {
  const text = await readFile(path, "utf8");
  try {
    return JSON.parse(text) as GenesisJson;
  } catch {
    return refuse("not JSON", { path });
  }
}
