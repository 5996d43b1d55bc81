import { inference, refOf } from "@karat/proto";
import { ChainError, SDK } from "../../app/errors.ts";
import type { QueryHandler } from "../../app/module.ts";
import { defineQuery, found, pageLimit, queriedAddress } from "../support/query.ts";
import { deliveredAt, read, readRef, whole } from "./keeper.ts";
import { records, STORE } from "./keys.ts";

/** Most records that one filtered query looks at; a shorter page than asked for may end here. */
const SCAN_LIMIT = 20_000;
const MAX_REFS = 256;

export const queries: Readonly<Record<string, QueryHandler>> = {
  "/karat.inference.v1.Query/Inference": defineQuery(
    inference.QueryInferenceRequest,
    inference.QueryInferenceResponse,
    (ctx, { id }) => {
      const record = id.length === 32 ? read(ctx, id) : undefined;
      return { inference: found(record && whole(ctx, record), "inference") };
    },
  ),

  "/karat.inference.v1.Query/Inferences": defineQuery(
    inference.QueryInferencesRequest,
    inference.QueryInferencesResponse,
    (ctx, request) => {
      const executor = request.executor === "" ? undefined : queriedAddress(request.executor);
      const client = request.client === "" ? undefined : queriedAddress(request.client);
      const most = pageLimit(request.limit, 50);
      const page: inference.Inference[] = [];
      const range = request.after.length > 0 ? { after: refOf(request.after) } : {};
      for (const [, record] of records.entries(ctx.store(STORE), { ...range, limit: SCAN_LIMIT })) {
        if (executor !== undefined && record.executor !== executor) continue;
        if (client !== undefined && record.client !== client) continue;
        page.push(whole(ctx, record));
        if (page.length === most) break;
      }
      return { inferences: page };
    },
  ),

  "/karat.inference.v1.Query/Progress": defineQuery(
    inference.QueryProgressRequest,
    inference.QueryProgressResponse,
    (ctx, { refs }) => {
      if (refs.length > MAX_REFS) throw new ChainError(SDK.invalidRequest, `at most ${MAX_REFS} refs`);
      return {
        progress: refs.flatMap((ref) => {
          const record = readRef(ctx, ref);
          if (record === undefined) return [];
          const { status, root, promptTokens, completionTokens, finishReason } = record;
          const delivered = deliveredAt(ctx, record) > 0n;
          return [{ ref, status, root, promptTokens, completionTokens, finishReason, delivered }];
        }),
      };
    },
  ),
};
