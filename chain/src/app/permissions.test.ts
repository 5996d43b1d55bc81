/** Who may send what: the whole table, so that a new message cannot come without a line here. */
import { protocolTypeUrls } from "@karat/proto";
import { describe, expect, test } from "vitest";
import { GOVERNANCE } from "../modules/support/authority.ts";
import { composeModules } from "./compose.ts";
import { SDK } from "./errors.ts";
import { signerOf } from "./testing/index.ts";

/**
 * `signer`: the field whose account signs. `lane`: protocol messages of registered node and validator keys are free.
 * `governance`: carried out for passed proposals only.
 */
const PERMISSIONS: Readonly<Record<string, { signer: string; lane: "fee" | "protocol" | "governance" }>> = {
  "/cosmos.bank.v1beta1.MsgSend": { signer: "fromAddress", lane: "fee" },
  "/cosmos.bank.v1beta1.MsgMultiSend": { signer: "inputs", lane: "fee" },
  "/cosmos.gov.v1.MsgSubmitProposal": { signer: "proposer", lane: "fee" },
  "/cosmos.gov.v1.MsgDeposit": { signer: "depositor", lane: "fee" },
  "/cosmos.gov.v1.MsgVote": { signer: "voter", lane: "fee" },
  "/cosmos.gov.v1.MsgVoteWeighted": { signer: "voter", lane: "fee" },
  "/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade": { signer: "authority", lane: "governance" },
  "/cosmos.upgrade.v1beta1.MsgCancelUpgrade": { signer: "authority", lane: "governance" },
  "/karat.params.v1.MsgUpdateParams": { signer: "authority", lane: "governance" },
  "/karat.params.v1.MsgSetModel": { signer: "authority", lane: "governance" },
  "/karat.participant.v1.MsgRegisterParticipant": { signer: "operator", lane: "fee" },
  "/karat.participant.v1.MsgUpdateParticipant": { signer: "operator", lane: "fee" },
  "/karat.participant.v1.MsgAddCollateral": { signer: "operator", lane: "fee" },
  "/karat.participant.v1.MsgLeave": { signer: "operator", lane: "fee" },
  "/karat.participant.v1.MsgWithdrawCollateral": { signer: "operator", lane: "fee" },
  "/karat.slashing.v1.MsgUnjail": { signer: "operator", lane: "fee" },
  "/karat.deposit.v1.MsgDeposit": { signer: "sender", lane: "fee" },
  "/karat.deposit.v1.MsgRequestRefund": { signer: "client", lane: "fee" },
  "/karat.deposit.v1.MsgWithdraw": { signer: "client", lane: "fee" },
  "/karat.inference.v1.MsgRecords": { signer: "sender", lane: "protocol" },
  "/karat.verification.v1.MsgCommitChecks": { signer: "sender", lane: "protocol" },
  "/karat.verification.v1.MsgSubmitVerdicts": { signer: "sender", lane: "protocol" },
  "/karat.reward.v1.MsgClaimRewards": { signer: "sender", lane: "protocol" },
};

const handlers = new Map(composeModules().modules.flatMap(({ messages = {} }) => Object.entries(messages)));

test("every message has its line, and every line its message", () => {
  expect([...handlers.keys()].sort()).toEqual(Object.keys(PERMISSIONS).sort());
  const free = Object.entries(PERMISSIONS).filter(([, { lane }]) => lane === "protocol");
  expect(free.map(([typeUrl]) => typeUrl).sort()).toEqual([...protocolTypeUrls].sort());
});

const { address } = signerOf("anybody");

describe.each(Object.entries(PERMISSIONS))("%s", (typeUrl, { signer, lane }) => {
  const handler = handlers.get(typeUrl)!;
  const empty = handler.codec.decode(new Uint8Array()) as object;

  test("is signed by the account that it names, and by nobody else", () => {
    const field = signer === "inputs" ? { inputs: [{ address, coins: [] }] } : { [signer]: address };
    expect(empty).toHaveProperty(signer);
    expect(handler.signers({ ...empty, ...field })).toEqual([address]);
  });

  if (lane === "governance") {
    test("is refused for any account but that of governance", () => {
      expect(handler.signers({ ...empty, [signer]: GOVERNANCE })).toEqual([GOVERNANCE]);
      expect(() => handler.checkStateless({ ...empty, [signer]: address })).toThrow(
        expect.objectContaining({ code: SDK.unauthorized.code, codespace: "sdk" }),
      );
    });
  }
});
