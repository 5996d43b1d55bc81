import { participant } from "@karat/proto";
import type { QueryHandler } from "../../app/module.ts";
import { defineQuery, found, pageLimit, queriedAddress } from "../support/query.ts";
import type { ParticipantKeeper } from "./keeper.ts";
import { participants, STORE } from "./keys.ts";

export function participantQueries(keeper: ParticipantKeeper): Readonly<Record<string, QueryHandler>> {
  return {
    "/karat.participant.v1.Query/Participant": defineQuery(
      participant.QueryParticipantRequest,
      participant.QueryParticipantResponse,
      (ctx, { address }) => ({
        participant: found(keeper.byAddress(ctx, queriedAddress(address)), `participant ${address}`),
      }),
    ),

    "/karat.participant.v1.Query/Participants": defineQuery(
      participant.QueryParticipantsRequest,
      participant.QueryParticipantsResponse,
      (ctx, { after, limit }) => {
        const range = after === "" ? {} : { after: queriedAddress(after) };
        const rows = participants.entries(ctx.store(STORE), { ...range, limit: pageLimit(limit) });
        return { participants: Array.from(rows, ([, row]) => row) };
      },
    ),
  };
}
