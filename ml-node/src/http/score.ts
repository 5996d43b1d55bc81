/** POST /karat/v1/score: is this answer what the declared model would have given? And its first, blind half. */
import type { Request, Response } from "express";
import { prefillEmbedding, scoreEmbeddingAnswer } from "../service/embeddingScore.ts";
import { readPrefillRequest, readScoreRequest } from "../service/scoreRequest.ts";
import { prefillAnswer, scoreAnswer } from "../service/scoring.ts";
import { bodyOf, type NodeContext, requestSignal, requireModel } from "./context.ts";

export async function score(context: NodeContext, request: Request, response: Response): Promise<void> {
  const asked = readScoreRequest(bodyOf(request));
  requireModel(context, asked.model);
  const stopTimer = context.metrics.scoreSeconds.startTimer();
  const scored = "texts" in asked.asked ? scoreEmbeddingAnswer : scoreAnswer;
  const result = await scored(context, asked, requestSignal(context, response));
  stopTimer();
  context.metrics.verdicts.inc({ verdict: result.verdict });
  response.json(result);
}

/** POST /karat/v1/score/prefill: the own view of an answer, to be committed to before the artifact is seen. */
export async function prefill(context: NodeContext, request: Request, response: Response): Promise<void> {
  const asked = readPrefillRequest(bodyOf(request));
  requireModel(context, asked.model);
  const prefilled = "texts" in asked.asked ? prefillEmbedding : prefillAnswer;
  response.json(await prefilled(context, asked, requestSignal(context, response)));
}
