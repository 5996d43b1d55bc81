/**
 * llama.cpp ships one CPU backend for each generation of instruction sets and takes the best that the machine has. Here it is given
 * only one of them to choose from, so that calibration can be two different machines.
 */
import { mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { registerHooks } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KaratError } from "@karat/common";

const PACKAGE = `@node-llama-cpp/${process.platform === "darwin" ? "mac" : process.platform === "win32" ? "win" : "linux"}-${process.arch}`;
const BACKEND = /^(?:lib)?ggml-cpu-([a-z0-9]+)\.(?:so|dylib|dll)$/;

interface BinaryPackage {
  getBinsDir(): { binsDir: string; packageVersion: string };
}

/** Names of the CPU builds that are installed, for example "haswell"; whether this machine can run them shows when they load. */
export async function installedCpuVariants(): Promise<string[]> {
  const { binsDir } = await binaries();
  const names: string[] = [];
  for (const folder of await readdir(binsDir)) {
    for (const file of await readdir(join(binsDir, folder))) names.push(BACKEND.exec(file)?.[1] ?? "");
  }
  return names.filter((name) => name !== "").sort();
}

/**
 * Runs `load` with only one CPU build to be found. Once for each process, before llama.cpp is loaded. Throws `unknown_cpu_variant`
 * {variant, installed}; a build that the machine cannot run makes `load` fail.
 */
export async function withCpuVariant<T>(variant: string, load: () => Promise<T>): Promise<T> {
  const installed = await installedCpuVariants();
  if (!installed.includes(variant)) {
    throw new KaratError("unknown_cpu_variant", "there is no such CPU build of llama.cpp", { variant, installed });
  }
  const { binsDir, packageVersion } = await binaries();
  const copy = await mkdtemp(join(tmpdir(), "karat-cpu-"));
  try {
    for (const folder of await readdir(binsDir)) {
      await mkdir(join(copy, folder));
      for (const file of await readdir(join(binsDir, folder))) {
        const backend = BACKEND.exec(file)?.[1];
        if (backend === undefined || backend === variant)
          await symlink(join(binsDir, folder, file), join(copy, folder, file));
      }
    }
    const found = JSON.stringify({ binsDir: copy, packageVersion });
    const url = `data:text/javascript,${encodeURIComponent(`export const getBinsDir = () => (${found});`)}`;
    const hooks = registerHooks({
      resolve: (specifier, context, next) =>
        specifier === PACKAGE ? { url, format: "module", shortCircuit: true } : next(specifier, context),
    });
    try {
      return await load();
    } finally {
      hooks.deregister();
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function binaries(): Promise<{ binsDir: string; packageVersion: string }> {
  const found: BinaryPackage = await import(PACKAGE);
  return found.getBinsDir();
}
