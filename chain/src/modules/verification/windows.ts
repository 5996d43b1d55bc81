/** What a committee shows about those who checked, by the windows that they opened: pure functions of a check. */
import type { verification } from "@karat/proto";
import { valuesAgree } from "@karat/rules";
import { hasCommitted, isAnswer, isCommitting, isDutyOpen, owesWindow } from "./transition.ts";

type Check = verification.Check;
type Duty = verification.Duty;

/** Fewer windows show nobody's fault. */
const LEAST_COMPARED = 3;

/** The height after which nobody of the committee can commit any more, and whose beacon draws the window; undefined before. */
export function settledHeight(check: Check): bigint | undefined {
  const members = check.duties.filter(({ committee }) => committee);
  if (members.some(isCommitting)) return undefined;
  const heights = members.map((duty) => {
    if (hasCommitted(duty)) return duty.committedHeight;
    return isDutyOpen(duty) || duty.missed ? duty.commitDeadlineHeight : duty.answeredHeight;
  });
  return heights.reduce((most, height) => (height > most ? height : most), 0n);
}

export interface Findings {
  /** Whose values were compared and agree with those of two thirds. */
  readonly agreed: readonly string[];
  /** Whose values two thirds of all are apart from. */
  readonly apart: readonly string[];
  /** Who has not opened what it had committed to. */
  readonly withheld: readonly string[];
  /** Who had nothing to say where two thirds of all could tell. */
  readonly idle: readonly string[];
}

/**
 * Of a committee with nobody left to be heard. Two thirds of at least three opened windows must agree with one of them before any is found apart;
 * and only what two thirds of all disagree with is.
 */
export function findingsOf(check: Check): Findings {
  const opened = check.duties.filter(({ window }) => window.length > 0);
  const agreeing = opened.map((one) => opened.filter((other) => agree(one, other)).length);
  const isTwoThirds = (count: number): boolean => 3 * count >= 2 * opened.length;
  const comparable = opened.length >= LEAST_COMPARED && agreeing.some(isTwoThirds);
  const apart = opened.filter((_, i) => comparable && isTwoThirds(opened.length - agreeing[i]!));
  const answered = check.duties.filter((duty) => !isDutyOpen(duty) && !duty.missed);
  const telling = answered.filter(({ verdict }) => isAnswer(verdict)).length;
  const mute = answered.filter((duty) => !isAnswer(duty.verdict) && !hasCommitted(duty));
  return {
    agreed: comparable ? namesOf(opened.filter((duty) => !apart.includes(duty))) : [],
    apart: namesOf(apart),
    withheld: opened.length > 0 ? namesOf(check.duties.filter((duty) => owesWindow(check, duty))) : [],
    idle: telling >= LEAST_COMPARED && 3 * telling >= 2 * answered.length ? namesOf(mute) : [],
  };
}

const namesOf = (duties: readonly Duty[]): string[] => duties.map(({ validator }) => validator);

const agree = (one: Duty, other: Duty): boolean =>
  one === other ||
  (one.windowPositions === other.windowPositions && valuesAgree(one.window, other.window, one.windowPositions));
