import { KaratError } from "@karat/common";
import type { MessageHandler, Module, QueryHandler } from "./module.ts";

/** A handler whose message type is known to nobody but itself. */
export type AnyHandler = MessageHandler<unknown>;

/** The modules in their order, and who answers for which message and query. */
export interface Router {
  readonly modules: readonly Module[];
  message(typeUrl: string): { readonly module: string; readonly handler: AnyHandler } | undefined;
  query(path: string): QueryHandler | undefined;
}

/** Throws KaratError `name_clash` when two modules share a name, a message or a query: a mistake of the composition. */
export function createRouter(
  modules: readonly Module[],
  services: Readonly<Record<string, QueryHandler>> = {},
): Router {
  const messages = new Map<string, { module: string; handler: AnyHandler }>();
  const queries = new Map<string, QueryHandler>(Object.entries(services));
  const names = new Set<string>();
  const clash = (name: string): never => {
    throw new KaratError("name_clash", "two modules claim the same name", { name });
  };
  for (const module of modules) {
    if (names.has(module.name)) clash(module.name);
    names.add(module.name);
    for (const [typeUrl, handler] of Object.entries(module.messages ?? {})) {
      if (messages.has(typeUrl)) clash(typeUrl);
      messages.set(typeUrl, { module: module.name, handler: handler as unknown as AnyHandler });
    }
    for (const [path, handler] of Object.entries(module.queries ?? {})) {
      if (queries.has(path)) clash(path);
      queries.set(path, handler);
    }
  }
  return { modules, message: (typeUrl) => messages.get(typeUrl), query: (path) => queries.get(path) };
}
