import type { ChainClient, ChainQueries } from "@karat/client";
import { fromHex, KaratError } from "@karat/common";
import { inference, participant, sign, verification } from "@karat/proto";
import { Router } from "express";
import { drawExecutors } from "../chain/candidates.ts";
import type { ChainView } from "../chain/view.ts";
import { enumName, plain } from "./plain.ts";

export interface ChainRouteModules {
  readonly view: ChainView;
  /** Throws `chain_unavailable` before the first connection. */
  readonly query: () => Pick<ChainQueries, "inference" | "check" | "epoch">;
  readonly prove: ChainClient["proveInference"];
}

/** What anybody may read of the chain through this node. */
export function chainRoutes({ view, query, prove }: ChainRouteModules): Router {
  const router = Router();

  router.get("/karat/v1/inferences/:id", async (request, response) => {
    const { id } = request.params;
    if (!/^[0-9a-f]{64}$/.test(id)) throw invalid("id", "32 bytes in lower-case hex");
    const bytes = fromHex(id);
    const wanted = request.query.prove;
    if (wanted !== undefined && wanted !== "1") throw invalid("prove", "1, or left out");
    const [found, check, proof] = await Promise.all([
      query().inference(bytes),
      query().check(bytes),
      wanted && prove(bytes),
    ]);
    if (!found) throw new KaratError("not_found", "The chain has no inference with this id (any more).");
    response.json({
      inference: {
        ...(plain(found) as object),
        status: enumName(inference.inferenceStatusToJSON(found.status), "INFERENCE_STATUS"),
        finish_reason: enumName(sign.finishReasonToJSON(found.finishReason), "FINISH_REASON"),
      },
      draw: drawOf(view, found),
      check: check ? checkJson(check) : null,
      // Null for a block: the header with the app hash of the record's state is still to come.
      ...(wanted && { proof: proof ? plain(proof) : null }),
    });
  });

  router.get("/karat/v1/participants", (_request, response) => {
    const participants = view.participants().map((one) => ({
      ...(plain(one) as object),
      status: enumName(participant.participantStatusToJSON(one.status), "PARTICIPANT_STATUS"),
    }));
    response.json({ height: view.height(), participants });
  });

  router.get("/karat/v1/epochs/:number", async (request, response) => {
    const { number } = request.params;
    if (number !== "current" && !/^\d{1,18}$/.test(number)) throw invalid("number", "an epoch's number, or `current`");
    const found = await query().epoch(number === "current" ? undefined : BigInt(number));
    if (!found) throw new KaratError("not_found", "The chain has no such epoch (any more).");
    response.json({ epoch: plain(found) });
  });

  return router;
}

/**
 * The inputs of the draw and its outcome, for whoever wants to repeat it; null when the anchor is too old for this node, or when the
 * client's price bounds (which are not in the state) left other candidates.
 */
function drawOf(view: ChainView, found: inference.Inference): unknown {
  const beacon = view.beacon(found.anchorHeight);
  if (!beacon || !view.epochAt(found.anchorHeight)) return null;
  const unbounded = 2n ** 64n - 1n;
  const bounds = { maxInputPrice: unbounded, maxOutputPrice: unbounded };
  const order = drawExecutors(
    view,
    { model: found.model, anchorHeight: found.anchorHeight, ...bounds },
    beacon,
    found.part?.orderId ?? found.id,
  );
  if (order[found.attempt]?.member.operator !== found.executor) return null;
  return plain({
    anchorHeight: found.anchorHeight,
    beacon,
    order: order.map(({ member }) => ({ operator: member.operator, weight: member.weight })),
    attempt: found.attempt,
  });
}

function checkJson(check: verification.Check): object {
  return {
    ...(plain(check) as object),
    status: enumName(verification.checkStatusToJSON(check.status), "CHECK_STATUS"),
    duties: check.duties.map((duty) => ({
      ...(plain(duty) as object),
      verdict: enumName(verification.verdictToJSON(duty.verdict), "VERDICT"),
    })),
  };
}

const invalid = (param: string, wanted: string): KaratError =>
  new KaratError("invalid_request", `${param}: must be ${wanted}`, { param });
