/**
 * A chat with tools as plain messages, in the form that Hermes and Qwen models are trained on: the functions in the system message, calls
 * in the assistant's turns, results in the user's. Executor and validator render a request alike, so this is part of the protocol.
 */
import {
  type FunctionTool,
  type ChatMessage as RequestMessage,
  TOOL_CALL,
  type ToolCall,
  writeCalls,
} from "@karat/rules";
import type { ChatMessage } from "../engine/engine.ts";

export function chatOf(messages: readonly RequestMessage[], tools: readonly FunctionTool[] = []): ChatMessage[] {
  const chat = messages.map(plain);
  if (tools.length === 0) return chat;
  const instructions = toolInstructions(tools);
  const [first, ...others] = chat;
  if (first?.role === "system" || first?.role === "developer") {
    return [{ role: first.role, content: `${first.content}\n\n${instructions}` }, ...others];
  }
  return [{ role: "system", content: instructions }, ...chat];
}

function plain({ role, content, tool_calls: calls }: RequestMessage): ChatMessage {
  if (role === "tool") return { role: "user", content: `<tool_response>\n${content ?? ""}\n</tool_response>` };
  if (!calls) return { role, content: content ?? "" };
  return { role, content: [...(content ? [content] : []), writeCalls(calls.map(callText))].join("\n") };
}

const callText = ({ function: called }: ToolCall) => called;

function toolInstructions(tools: readonly FunctionTool[]): string {
  const lines = tools.map(({ type, function: { name, description, parameters } }) => {
    const about = description === undefined ? "" : `, "description": ${JSON.stringify(description)}`;
    const schema = parameters === undefined ? "" : `, "parameters": ${parameters}`;
    return `{"type": ${JSON.stringify(type)}, "function": {"name": ${JSON.stringify(name)}${about}${schema}}}`;
  });
  const form = `${TOOL_CALL.open}${TOOL_CALL.name}"<name>"${TOOL_CALL.arguments}<arguments>${TOOL_CALL.close}`;
  return `You may call these functions:\n<tools>\n${lines.join("\n")}\n</tools>\nTo call one, answer with\n${form}`;
}
