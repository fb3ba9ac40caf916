import { expect, test } from "vitest";
import { background, Context, Supervisor } from "../index.ts";
import { TestClock } from "../testing.ts";

test("background() runs its task in a context of its own and stops it by cancelling that", async () => {
  const log: string[] = [];
  const supervisor = new Supervisor({
    loop: background(async (context) => {
      log.push(`current: ${Context.current() === context}`);
      await new Promise<void>((resolve) => void Context.after(context, () => resolve()));
      await Promise.resolve();
      log.push("finished its work");
    }),
  });
  await supervisor.start();
  await supervisor.stop();
  expect(log).toEqual(["current: true", "finished its work"]);
});

test.each([
  ["throws", () => Promise.reject(new Error("broken")), "broken"],
  ["ends by itself", async () => {}, "The task of a background service ended before it was told to stop"],
])("a background task that %s has crashed", async (_how, first, message) => {
  const clock = new TestClock();
  let runs = 0;
  const supervisor = new Supervisor(
    {
      loop: background(async (context) => {
        if (++runs === 1) {
          await new Promise(setImmediate);
          return first();
        }
        await new Promise<void>((resolve) => void Context.after(context, () => resolve()));
      }),
    },
    { clock },
  );
  await supervisor.start();
  await new Promise(setImmediate);
  await clock.advance(100);
  const [report] = (await supervisor.report()).services;
  expect(report).toMatchObject({ state: "running", restarts: 1, lastError: { message } });
  await supervisor.stop();
  expect(runs).toBe(2);
});

test("a background task that rejects with its own cause has stopped well, any other error is told", async () => {
  const cause = (context: Context) =>
    new Promise<void>((_resolve, reject) => void Context.after(context, (reason) => reject(reason)));
  const good = new Supervisor({ loop: background(cause) });
  await good.start();
  await good.stop();

  const bad = new Supervisor({
    loop: background((context) =>
      cause(context).catch(() => {
        throw new Error("lost a message");
      }),
    ),
  });
  await bad.start();
  await expect(bad.stop()).rejects.toThrow("lost a message");
});
