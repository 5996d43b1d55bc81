/** What happened in a simulation: one that silently does nothing must not pass. */
import { toHex } from "@karat/common";
import { inference, participant, verification } from "@karat/proto";
import { TxMsgData } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import type { Event } from "cosmjs-types/tendermint/abci/types";
import type { ExecutedBlock } from "./pair.ts";
import type { World } from "./world.ts";

const { ParticipantStatus } = participant;

/** Every way a life can take on this chain; each must occur. */
export const OUTCOMES = [
  "inference/started",
  "inference/started after skips",
  "inference/continued",
  "inference/continued and settled",
  "inference/missed/deadline",
  "inference/missed/error",
  "inference/finished",
  "inference/delivered",
  "inference/delivered before the finish",
  "inference/settled",
  "inference/settled unchecked",
  "inference/invalid",
  "inference/invalid by its executor's own words",
  "inference/inconclusive",
  "duty/first",
  "duty/committee",
  "duty/missed",
  "verdict/valid",
  "verdict/invalid",
  "verdict/unavailable",
  "verdict/abstain",
  "second look/at a validator",
  "second look/values apart",
  "second look/values withheld",
  "check/valid",
  "check/valid against an objection",
  "check/invalid",
  "check/inconclusive",
  "check/abstained",
  "participant/registered",
  "participant/updated",
  "participant/funded",
  "participant/fined",
  "participant/excluded",
  "participant/banned",
  "participant/reinstated",
  "participant/leaving",
  "participant/withdrawn",
  "deposit/made",
  "deposit/refund requested",
  "deposit/withdrawn",
  "epoch/started",
  "validators/changed",
  "rewards/settled",
  "rewards/claimed",
  "rewards/expired",
  "rewards/forfeited",
  "validator/jailed",
  "validator/unjailed",
  "validator/tombstoned",
  "proposal/submitted",
  "proposal/funded",
  "proposal/voted on",
  "proposal/passed",
  "proposal/failed",
  "proposal/rejected",
  "proposal/vetoed",
  "proposal/dropped",
  "params/changed",
  "upgrade/planned",
  "replica/reopen",
  "replica/crash",
  "replica/otherProposal",
  "replica/stateSync",
  "replica/proposed",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/**
 * Counted where it happens, and not waited for: since blind checks a conviction needs one more round, and one that comes after its epoch was
 * settled and before its rewards were claimed is too seldom for 900 blocks. reward.test.ts makes it happen.
 */
const RARE: ReadonlySet<Outcome> = new Set(["rewards/forfeited", "second look/values apart"]);

const BY_EVENT: Readonly<Record<string, Outcome>> = {
  inference_start: "inference/started",
  inference_finish: "inference/finished",
  inference_delivery: "inference/delivered",
  inference_settled: "inference/settled",
  inference_invalid: "inference/invalid",
  inference_inconclusive: "inference/inconclusive",
  duty_missed: "duty/missed",
  participant_registered: "participant/registered",
  participant_updated: "participant/updated",
  collateral_added: "participant/funded",
  participant_fined: "participant/fined",
  participant_excluded: "participant/excluded",
  participant_reinstated: "participant/reinstated",
  participant_leaving: "participant/leaving",
  collateral_withdrawn: "participant/withdrawn",
  deposit: "deposit/made",
  refund_requested: "deposit/refund requested",
  deposit_withdrawn: "deposit/withdrawn",
  unjailed: "validator/unjailed",
  submit_proposal: "proposal/submitted",
  proposal_deposit: "proposal/funded",
  proposal_vote: "proposal/voted on",
  inactive_proposal: "proposal/dropped",
  params_changed: "params/changed",
  upgrade_planned: "upgrade/planned",
  epoch_started: "epoch/started",
  rewards_settled: "rewards/settled",
  rewards_claimed: "rewards/claimed",
  rewards_expired: "rewards/expired",
  rewards_forfeited: "rewards/forfeited",
};

export type Attributes = Readonly<Record<string, string>>;

export class Coverage {
  readonly counts = new Map<string, number>();
  /** Refusals as `codespace/code`, of transactions and of records inside batches. */
  readonly refusals = new Map<string, number>();
  transactions = 0;
  blocks = 0;
  /** Inferences with a duty, until they end. */
  readonly #checked = new Set<string>();
  readonly #objected = new Set<string>();

  /** Outcomes that have not occurred. */
  missing(): Outcome[] {
    return OUTCOMES.filter((outcome) => !this.counts.has(outcome) && !RARE.has(outcome));
  }

  add(block: ExecutedBlock, world: World): void {
    this.blocks++;
    this.transactions += block.txs.length;
    if (block.disturbance !== "none") this.#count(`replica/${block.disturbance}`);
    if (block.proposed) this.#count("replica/proposed");
    if (block.response.validatorUpdates.length > 0) this.#count("validators/changed");
    for (const { code, codespace, data } of block.response.txResults) {
      if (code === 0) this.#addRecords(data);
      else this.#refuse(codespace, code);
    }
    for (const event of eventsOf(block)) this.#addEvent(event.type, attributesOf(event), world);
    const banned = world.participants().some(({ status }) => status === ParticipantStatus.BANNED);
    if (banned) this.#count("participant/banned");
  }

  #addRecords(data: Uint8Array): void {
    for (const { typeUrl, value } of TxMsgData.decode(data).msgResponses) {
      if (typeUrl === "/karat.inference.v1.MsgRecordsResponse") {
        for (const { code } of inference.MsgRecordsResponse.decode(value).refusals) this.#refuse("inference", code);
      } else if (typeUrl === "/karat.verification.v1.MsgSubmitVerdictsResponse") {
        const { results } = verification.MsgSubmitVerdictsResponse.decode(value);
        for (const { code } of results) if (code !== 0) this.#refuse("verification", code);
      }
    }
  }

  #addEvent(type: string, event: Attributes, world: World): void {
    const outcome = BY_EVENT[type];
    if (outcome !== undefined) this.#count(outcome);
    const id = event.inference_id ?? "";
    const order = world.orders.get(id);
    switch (type) {
      case "inference_start":
        if (event.attempt !== "0") this.#count("inference/started after skips");
        if (event.order_id !== undefined) this.#count("inference/continued");
        break;
      case "inference_delivery":
        if (order?.state === "started") this.#count("inference/delivered before the finish");
        break;
      case "inference_missed":
        this.#count(event.reason === "error" ? "inference/missed/error" : "inference/missed/deadline");
        break;
      case "inference_settled":
        if (!this.#checked.delete(id)) this.#count("inference/settled unchecked");
        if (order?.prefix !== undefined) this.#count("inference/continued and settled");
        break;
      case "inference_invalid":
        this.#checked.delete(id);
        if (order?.contradicted) this.#count("inference/invalid by its executor's own words");
        break;
      case "slash":
        this.#count(event.reason === "downtime" ? "validator/jailed" : "validator/tombstoned");
        break;
      case "active_proposal":
        this.#count(`proposal/${event.proposal_result?.slice("proposal_".length)}` as Outcome);
        break;
      case "duty_assigned":
        this.#checked.add(id);
        this.#count(event.committee === "true" ? "duty/committee" : "duty/first");
        break;
      case "window_wanted":
        this.#count("second look/at a validator");
        break;
      case "values_rejected":
        this.#count(`second look/values ${event.reason}` as Outcome);
        break;
      case "verdict":
        if (event.verdict === "invalid" || event.verdict === "unavailable") this.#objected.add(id);
        this.#count(`verdict/${event.verdict}` as Outcome);
        break;
      case "check_decided":
        this.#count(`check/${event.status}` as Outcome);
        if (this.#objected.delete(id) && event.status === "valid") this.#count("check/valid against an objection");
        break;
    }
  }

  #count(outcome: Outcome): void {
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
  }

  #refuse(codespace: string, code: number): void {
    const name = `${codespace}/${code}`;
    this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1);
  }
}

export const eventsOf = (block: ExecutedBlock): Event[] => [
  ...block.response.txResults.flatMap(({ events }) => events),
  ...block.response.events,
];

export const attributesOf = (event: Event): Attributes =>
  Object.fromEntries(event.attributes.map(({ key, value }) => [key, value]));

/** Takes over what a block has decided about orders. Ids are forgotten where an inference has ended. */
export function follow(world: World, block: ExecutedBlock): void {
  for (const event of eventsOf(block)) {
    const order = world.orders.get(attributesOf(event).inference_id ?? "");
    if (order === undefined) continue;
    if (event.type === "inference_start") order.state = "started";
    else if (event.type === "inference_finish") order.state = "finished";
    else if (ENDS.has(event.type)) world.orders.delete(toHex(order.id));
  }
}

const ENDS = new Set(["inference_missed", "inference_invalid", "inference_inconclusive", "inference_settled"]);
