export {
  biasOf,
  CONSTRAINT_LIMITS,
  type Constraint,
  constraintNode,
  constraintOf,
  type FunctionTool,
  type ResponseFormat,
} from "./constraint.ts";
export { type SchemaOptions, schemaNode } from "./schema.ts";
export { type Allowed, ConstrainedAnswer, TokenGrammar } from "./tokenConstraint.ts";
export {
  type AnswerPiece,
  AnswerReader,
  readAnswer,
  TOOL_CALL,
  type ToolCallText,
  writeCalls,
} from "./toolCalls.ts";
export { type TokenTable, VocabularyIndex } from "./vocabulary.ts";
