// Real processes, real signals.
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { runModule, startModule } from "./support/run-module.ts";

const service = (stop: string): string => `
  import { Supervisor } from "@proj/concurrency";
  const supervisor = new Supervisor({
    idle: { start() {}, async stop() { console.log("stopping"); ${stop} } },
  });
  const running = supervisor.run();
  await supervisor.start();
  console.log("ready");
  await running;
  console.log("stopped");
`;

for (const [signal, code] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const) {
  test(`Supervisor drains on ${signal} and lets the process end well`, async () => {
    using child = startModule(service(""));
    const output = text(child.stdout);
    const errors = text(child.stderr);
    child.stdout.once("data", () => child.kill(signal));
    await once(child, "close");
    expect(await errors).toBe("");
    expect(await output).toBe("ready\nstopping\nstopped\n");
    expect(child.exitCode).toBe(0);
  });

  test(`Supervisor ends the process with ${code} on a second ${signal}`, async () => {
    using child = startModule(service("await new Promise(() => {});"));
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk;
      child.kill(signal); // once when ready, once when it stops
    });
    await once(child, "close");
    expect(output).toBe("ready\nstopping\n");
    expect(child.exitCode).toBe(code);
  });
}

test("Supervisor keeps the process alive while it waits to restart a service", async () => {
  const { code, stdout } = await runModule(`
    import { Supervisor } from "@proj/concurrency";
    let starts = 0;
    const supervisor = new Supervisor({
      flaky: {
        start(_context, { fail }) {
          if (++starts === 1) setImmediate(() => fail(new Error("crash")));
          else void supervisor.stop();
        },
      },
    }, { backoff: () => 20 });
    await supervisor.start();
    await supervisor.run();
    console.log("starts", starts);
  `);
  expect(stdout).toBe("starts 2\n");
  expect(code).toBe(0);
});
