import { BinaryWriter } from "cosmjs-types/binary";
import { Timestamp } from "cosmjs-types/google/protobuf/timestamp";
import { type BlockID, PartSetHeader, SignedMsgType } from "cosmjs-types/tendermint/types/types";

/**
 * The bytes a validator signs for a precommit: the length-delimited `CanonicalVote` of CometBFT v0.38
 * (type 1, sfixed64 height 2 and round 3, block id 4, time 5, chain id 6). A vote for no block leaves field 4 out.
 */
export function precommitSignBytes(
  chainId: string,
  vote: { height: bigint; round: number; blockId: BlockID; timestamp: Timestamp },
): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32(8).int32(SignedMsgType.SIGNED_MSG_TYPE_PRECOMMIT);
  if (vote.height !== 0n) writer.uint32(17).sfixed64(vote.height);
  if (vote.round !== 0) writer.uint32(25).sfixed64(BigInt(vote.round));
  if (vote.blockId.hash.length > 0) {
    const id = new BinaryWriter();
    id.uint32(10).bytes(vote.blockId.hash);
    PartSetHeader.encode(vote.blockId.partSetHeader, id.uint32(18).fork()).ldelim();
    writer.uint32(34).bytes(id.finish());
  }
  Timestamp.encode(vote.timestamp, writer.uint32(42).fork()).ldelim();
  if (chainId !== "") writer.uint32(50).string(chainId);
  const body = writer.finish();
  return new BinaryWriter().bytes(body).finish();
}
