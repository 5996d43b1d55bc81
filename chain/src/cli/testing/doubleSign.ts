import { sha256, toBase64, utf8 } from "@karat/common";
import { parseTime } from "../../engine/consensus/time.ts";
import { precommitSignBytes } from "../../engine/consensus/vote.ts";
import { ed25519Key } from "../../engine/index.ts";
import { upperHex } from "../../engine/solo/rpc/encode.ts";
import { rpc } from "../../engine/testing/rpc-client.ts";
import { consensusSeedOf } from "./nodes.ts";

interface RpcValidators {
  readonly validators: readonly { readonly address: string; readonly voting_power: string }[];
}

/** What CometBFT's `broadcast_evidence` takes: precommits of one test validator for two blocks of the newest height. */
export async function doubleSign(rpcUrl: string, chainId: string, index: number): Promise<object> {
  const key = ed25519Key(consensusSeedOf(index));
  const address = upperHex(key.address);
  const { header } = (await rpc(rpcUrl, "header")).result as { header: { height: string; time: string } };
  const { height, time } = header;
  const { validators } = (await rpc(rpcUrl, "validators", { height })).result as RpcValidators;
  const own = validators.findIndex((each) => each.address === address);
  const vote = (label: string) => {
    const hash = sha256(utf8(label));
    const blockId = { hash, partSetHeader: { total: 1, hash } };
    const bytes = precommitSignBytes(chainId, {
      height: BigInt(height),
      round: 0,
      blockId,
      timestamp: parseTime(time),
    });
    const hex = upperHex(hash);
    return {
      type: 2,
      height,
      round: 0,
      block_id: { hash: hex, parts: { total: 1, hash: hex } },
      timestamp: time,
      validator_address: address,
      validator_index: own,
      signature: toBase64(key.sign(bytes)),
    };
  };
  // In the order of their blocks, or CometBFT does not take them.
  const [voteA, voteB] = [vote("one block"), vote("another block")].sort((a, b) =>
    a.block_id.hash < b.block_id.hash ? -1 : 1,
  );
  const total = validators.reduce((sum, each) => sum + BigInt(each.voting_power), 0n);
  return {
    type: "tendermint/DuplicateVoteEvidence",
    value: {
      vote_a: voteA,
      vote_b: voteB,
      TotalVotingPower: total.toString(),
      ValidatorPower: validators[own]!.voting_power,
      Timestamp: time,
    },
  };
}
