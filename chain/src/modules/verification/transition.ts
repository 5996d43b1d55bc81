/**
 * The life of a check as a table of states and edges, and what each edge does to it: pure functions from values to the
 * new value.
 */
import { type params, verification } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import { ERRORS } from "./errors.ts";

type Check = verification.Check;
type Duty = verification.Duty;
type Verdict = verification.Verdict;
export type CheckStatus = verification.CheckStatus;
const Status = verification.CheckStatus;
const { Verdict: V } = verification;

export type Step =
  | "passOver"
  | "assign"
  | "redraw"
  | "giveUp"
  | "accept"
  | "abstain"
  | "hear"
  | "lookAgain"
  | "object"
  | "convene"
  | "uphold"
  | "overrule"
  | "leaveUndecided"
  | "close";

/** From a status, by a step, to a status; UNSPECIFIED is a finish before its draw. What is not listed cannot happen. */
export const EDGES: Readonly<Record<CheckStatus, Readonly<Partial<Record<Step, CheckStatus>>>>> = {
  [Status.UNSPECIFIED]: { passOver: Status.UNCHECKED, assign: Status.PENDING },
  [Status.UNCHECKED]: {},
  [Status.PENDING]: {
    // The validator missed its duty: another one, at last none.
    redraw: Status.PENDING,
    giveUp: Status.ABSTAINED,
    // Its verdicts.
    accept: Status.VALID,
    abstain: Status.ABSTAINED,
    object: Status.COMMITTEE,
    hear: Status.ANSWERED,
    // The inference was found false without it.
    close: Status.INVALID,
  },
  [Status.ANSWERED]: {
    accept: Status.VALID,
    abstain: Status.ABSTAINED,
    lookAgain: Status.COMMITTEE,
    close: Status.INVALID,
  },
  [Status.COMMITTEE]: {
    convene: Status.COMMITTEE,
    uphold: Status.INVALID,
    overrule: Status.VALID,
    leaveUndecided: Status.INCONCLUSIVE,
    // After a second look without objection.
    accept: Status.VALID,
    abstain: Status.ABSTAINED,
    close: Status.INVALID,
  },
  [Status.VALID]: {},
  [Status.INVALID]: {},
  [Status.INCONCLUSIVE]: {},
  [Status.ABSTAINED]: {},
};

/** The status that `step` leads to. Throws `illegalStep`. */
export function follow(status: CheckStatus, step: Step): CheckStatus {
  const next = EDGES[status][step];
  if (next === undefined) throw new ChainError(ERRORS.illegalStep, `no ${step} from status ${status}`);
  return next;
}

export const isOpen = (status: CheckStatus): boolean => Object.keys(EDGES[status]).length > 0;

/** Most validators that are asked after the first, one after another, before the check is given up. */
export const MAX_REDRAWS = 3;

export interface Drawn {
  readonly inferenceId: Uint8Array;
  readonly executor: string;
  readonly model: string;
  readonly rateMicros: number;
  /** Height whose beacon drew it. */
  readonly drawnHeight: bigint;
  /** Earlier outputs that are judged together with this one. */
  readonly pooled: Uint8Array[];
}

export function assign(drawn: Drawn, duty: Duty): Check {
  return verification.Check.fromPartial({ ...drawn, status: follow(Status.UNSPECIFIED, "assign"), duties: [duty] });
}

export function newDuty(
  inferenceId: Uint8Array,
  validator: string,
  committee: boolean,
  height: bigint,
  { dutyDeadline, commitDeadline }: Pick<params.Params, "dutyDeadline" | "commitDeadline">,
): Duty {
  return verification.Duty.fromPartial({
    inferenceId,
    validator,
    committee,
    assignedHeight: height,
    deadlineHeight: height + dutyDeadline,
    commitDeadlineHeight: height + commitDeadline,
  });
}

export const isDutyOpen = (duty: Duty): boolean => duty.verdict === V.UNSPECIFIED && !duty.missed;
export const hasCommitted = (duty: Duty): boolean => duty.commitment.length > 0;
/** May still commit, and so may not see anybody's values. */
export const isCommitting = (duty: Duty): boolean => isDutyOpen(duty) && !hasCommitted(duty);

export const isConvened = (check: Check): boolean => check.duties.some((duty) => duty.committee);

/** Has answered before the committee was convened, and is to open a window of the values it committed to then. */
export const owesWindow = (check: Check, duty: Duty): boolean =>
  check.status === Status.COMMITTEE && isConvened(check) && isBeforehand(duty) && duty.window.length === 0;
/** Who found an answer impossible without any values has none to be compared. */
const isBeforehand = (duty: Duty): boolean =>
  !duty.committee && !isDutyOpen(duty) && !duty.missed && hasCommitted(duty) && duty.positions > 0;

/** Something is asked of the validator: a commitment, a verdict, or a window. */
export const isPending = (check: Check, duty: Duty): boolean => isDutyOpen(duty) || owesWindow(check, duty);

/** A committee still has somebody to be heard: a window alone, with nobody's to compare it with, is not waited for. */
export const isAwaited = (check: Check): boolean =>
  check.duties.some(isDutyOpen) ||
  (check.duties.some((duty) => duty.committee && hasCommitted(duty)) &&
    check.duties.some((duty) => owesWindow(check, duty)));

/** The height at whose end an open check is looked at again, if nothing happens before. */
export function dueOf(check: Check): bigint {
  const open = check.duties.filter(isDutyOpen);
  const committing = open.find(isCommitting);
  if (committing !== undefined) return committing.commitDeadlineHeight;
  if (open[0] !== undefined) return open[0].deadlineHeight;
  const last = check.duties.at(-1)!;
  // Without anything asked of anybody, a committee or whether there is to be one is still to be drawn.
  return check.duties.some((duty) => owesWindow(check, duty)) ? last.deadlineHeight : last.answeredHeight + 1n;
}

export function commit(check: Check, duty: Duty, commitment: Uint8Array, height: bigint): Check {
  const committed: Duty = { ...duty, commitment, committedHeight: height };
  return { ...check, duties: check.duties.map((each) => (each === duty ? committed : each)) };
}

/** The latest duty of a validator: whoever missed the first may sit in the committee. */
export const dutyOf = (check: Check, validator: string): Duty | undefined =>
  check.duties.findLast((duty) => duty.validator === validator);

/** What a committee has of a validator's values. */
export type Window = Pick<Duty, "window" | "windowPositions">;

/** The window of who has answered before. */
export function open(check: Check, duty: Duty, window: Window): Check {
  return { ...check, duties: check.duties.map((each) => (each === duty ? { ...duty, ...window } : each)) };
}

export function answer(
  check: Check,
  duty: Duty,
  record: verification.VerdictRecord,
  height: bigint,
  window?: Window,
): Check {
  const answered: Duty = {
    ...duty,
    ...window,
    verdict: record.verdict,
    answeredHeight: height,
    positions: hasCommitted(duty) ? record.positions : 0,
    pBucket: record.pBucket,
    evidenceHash: record.evidenceHash,
  };
  return { ...check, duties: check.duties.map((each) => (each === duty ? answered : each)) };
}

/** Every duty that `isLate` tells of is missed. */
export function miss(check: Check, isLate: (duty: Duty) => boolean): Check {
  return { ...check, duties: check.duties.map((duty) => (isLate(duty) ? { ...duty, missed: true } : duty)) };
}

export function redraw(check: Check, duty: Duty): Check {
  return {
    ...check,
    status: follow(check.status, "redraw"),
    duties: [...check.duties, duty],
    redraws: check.redraws + 1,
  };
}

export function object(check: Check): Check {
  return { ...check, status: follow(check.status, "object") };
}

/** One validator has answered without objection. */
export function hear(check: Check): Check {
  return { ...check, status: follow(check.status, "hear") };
}

export function lookAgain(check: Check, duties: readonly Duty[]): Check {
  return { ...seat(check, duties), status: follow(check.status, "lookAgain"), secondLook: true };
}

export function convene(check: Check, duties: readonly Duty[]): Check {
  return { ...seat(check, duties), status: follow(check.status, "convene") };
}

/** Whoever has answered has until the committee's deadline to open its window. */
function seat(check: Check, duties: readonly Duty[]): Check {
  const { deadlineHeight } = duties[0]!;
  const before = check.duties.map((duty) => (isBeforehand(duty) ? { ...duty, deadlineHeight } : duty));
  return { ...check, duties: [...before, ...duties] };
}

/** An end of the check. */
export type Decision = "giveUp" | "accept" | "abstain" | "uphold" | "overrule" | "leaveUndecided" | "close";

export function decide(check: Check, decision: Decision, height: bigint): Check {
  return { ...check, status: follow(check.status, decision), decidedHeight: height };
}

export const isObjection = (verdict: Verdict): boolean => verdict === V.INVALID || verdict === V.UNAVAILABLE;
export const isAnswer = (verdict: Verdict): boolean => verdict === V.VALID || isObjection(verdict);

/** Operators that found it false. */
export const accusersOf = (check: Check): string[] =>
  check.duties.filter((duty) => isObjection(duty.verdict)).map((duty) => duty.validator);

/** Who raised the objection that the committee decides about: the first of all. */
export const objectorOf = (check: Check): string | undefined => accusersOf(check)[0];

/** Two thirds of the answers stand against the accusation: less than that acquits, but shows nobody's error. */
export const isRefuted = (check: Check): boolean => {
  const answers = check.duties.filter(({ verdict }) => isAnswer(verdict)).length;
  return 3 * (answers - accusersOf(check).length) >= 2 * answers;
};

/** Who has answered otherwise than two thirds of the committee. */
export function overruledBy(check: Check, decision: Decision): string[] {
  if (decision !== "uphold" && !(decision === "overrule" && isRefuted(check))) return [];
  const wrong = (verdict: Verdict): boolean => (decision === "uphold" ? verdict === V.VALID : isObjection(verdict));
  return check.duties.filter(({ verdict }) => wrong(verdict)).map(({ validator }) => validator);
}

/** What the one who has answered without objection decides alone. */
export const aloneDecides = (check: Check): "accept" | "abstain" =>
  check.duties.some(({ verdict }) => verdict === V.VALID) ? "accept" : "abstain";

/** What a committee decides that has nobody left to be heard. */
export function outcomeOf(check: Check, quorum: number): Decision {
  return check.secondLook && accusersOf(check).length === 0 ? aloneDecides(check) : tally(check, quorum);
}

/**
 * What the answers decide, the objector's included; abstentions are none. Fewer than the quorum decide nothing, two
 * thirds against uphold the objection.
 */
export function tally(check: Check, quorum: number): "uphold" | "overrule" | "leaveUndecided" {
  const answers = check.duties.filter((duty) => isAnswer(duty.verdict)).length;
  if (answers < quorum) return "leaveUndecided";
  return 3 * accusersOf(check).length >= 2 * answers ? "uphold" : "overrule";
}
