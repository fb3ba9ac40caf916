// Which services start before which.
import { describe } from "./check.ts";
import type { Service } from "./service.ts";

/** Names so that each comes after those it depends on, otherwise in the order given. Throws for unknown names and cycles. */
export function startOrder(services: Readonly<Record<string, Service>>): string[] {
  const action = "create a Supervisor";
  const order = new Set<string>();
  const path: string[] = [];

  function visit(name: string): void {
    if (order.has(name)) return;
    const loop = path.indexOf(name);
    if (loop >= 0) {
      const cycle = [...path.slice(loop), name].join(" -> ");
      throw new TypeError(`Cannot ${action}: services must not depend on each other in a circle, got ${cycle}`);
    }
    path.push(name);
    for (const dependency of services[name]?.dependsOn ?? []) {
      if (!Object.hasOwn(services, dependency)) {
        throw new TypeError(`Cannot ${action}: dependsOn of ${name} must name services, got ${describe(dependency)}`);
      }
      visit(dependency);
    }
    path.pop();
    order.add(name);
  }

  for (const [name, service] of Object.entries(services)) {
    if (typeof service?.start !== "function") {
      throw new TypeError(`Cannot ${action}: service ${name} must have a function start, got ${describe(service)}`);
    }
    visit(name);
  }
  return [...order];
}
