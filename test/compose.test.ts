/** docker-compose.yml is linted here because no container engine runs where the tests run. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

interface ComposeService {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, { condition: string }>>;
  readonly healthcheck?: object;
}

const root = join(import.meta.dirname, "..");
const compose = parse(readFileSync(join(root, "docker-compose.yml"), "utf8"), { merge: true }) as {
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);
const commandOf = (service: ComposeService): string => (service.command ?? []).join(" ");

describe("docker-compose.yml", () => {
  test("has the processes of four participants", () => {
    const names = services.map(([name]) => name);
    for (const kind of ["ml", "api", "sidecar"]) for (const i of [0, 1, 2, 3]) expect(names).toContain(`${kind}-${i}`);
    expect(names).toEqual(expect.arrayContaining(["chain", "redis"]));
  });

  test.each(services)("%s depends on services that exist, healthy ones having a health check", (_, service) => {
    const needs = service.depends_on ?? {};
    const list = Array.isArray(needs)
      ? needs.map((name) => [name, "service_started"] as const)
      : Object.entries(needs).map(([name, how]) => [name, (how as { condition: string }).condition] as const);
    for (const [name, condition] of list) {
      expect(compose.services).toHaveProperty(name);
      if (condition === "service_healthy") expect(compose.services[name]).toHaveProperty("healthcheck");
    }
  });

  test.each(services)("%s publishes on loopback only and uses declared volumes", (_, service) => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    for (const volume of service.volumes ?? []) expect(Object.keys(compose.volumes)).toContain(volume.split(":")[0]);
  });

  test("no two services publish the same port", () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(new Set(ports).size).toBe(ports.length);
  });

  test.each(services.filter(([, service]) => commandOf(service).includes(".ts")))(
    "%s runs a script and reads files that exist",
    (_, service) => {
      const command = commandOf(service);
      const script = /(\S+\.ts)/.exec(command)?.[1] ?? "";
      expect(existsSync(join(root, script))).toBe(true);
      for (const file of command.match(/models\/\S+/g) ?? []) expect(existsSync(join(root, file))).toBe(true);
    },
  );

  test.each(services.filter(([, service]) => commandOf(service).includes("http://")))(
    "%s names hosts that exist",
    (_, service) => {
      for (const [, host] of commandOf(service).matchAll(/(?:https?|redis):\/\/([a-z0-9-]+)[:/]/g))
        expect(compose.services).toHaveProperty(host!);
    },
  );
});
