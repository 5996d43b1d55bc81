/** POST /karat/v1/score: is this answer what the declared model would have given? */
import type { Request, Response } from "express";
import { readScoreRequest } from "../service/scoreRequest.ts";
import { scoreAnswer } from "../service/scoring.ts";
import { bodyOf, type NodeContext, requestSignal, requireModel } from "./context.ts";

export async function score(context: NodeContext, request: Request, response: Response): Promise<void> {
  const asked = readScoreRequest(bodyOf(request));
  requireModel(context, asked.model);
  const stopTimer = context.metrics.scoreSeconds.startTimer();
  const result = await scoreAnswer(context.engine, context.profile, asked, requestSignal(context, response));
  stopTimer();
  context.metrics.verdicts.inc({ verdict: result.verdict });
  response.json(result);
}
