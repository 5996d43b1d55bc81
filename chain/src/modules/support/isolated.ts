import type { Context } from "../../app/module.ts";
import { Overlay } from "../../store/overlay.ts";

/** Writes and events reach `ctx` only when `run` returns. */
export function isolated<R>(ctx: Context, run: (ctx: Context) => R): R {
  const overlays = new Map<string, Overlay>();
  const events: [type: string, attributes: Readonly<Record<string, string>>][] = [];
  const result = run({
    chainId: ctx.chainId,
    height: ctx.height,
    time: ctx.time,
    blockHash: ctx.blockHash,
    gas: ctx.gas,
    store(module) {
      let overlay = overlays.get(module);
      if (overlay === undefined) {
        overlay = new Overlay(ctx.store(module));
        overlays.set(module, overlay);
      }
      return overlay;
    },
    emit(type, attributes) {
      events.push([type, attributes]);
    },
  });
  for (const [module, overlay] of overlays) overlay.flushTo(ctx.store(module));
  for (const [type, attributes] of events) ctx.emit(type, attributes);
  return result;
}
