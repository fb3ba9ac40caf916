import { expectTypeOf, test } from "vitest";
import { type Channel, channel } from "./channel.ts";
import { Context } from "./context.ts";
import { after, select, sending, trySelect } from "./select.ts";

test("select() gives a union told apart by the key", async () => {
  const jobs = channel<string>();
  const won = await select({
    job: jobs,
    tick: after(100),
    stop: Context.current(),
    sent: sending(channel<number>(), 1),
    answer: Promise.resolve(42),
  });
  if (won.key === "job") {
    expectTypeOf(won.value).toEqualTypeOf<string | undefined>();
    if (!won.done) expectTypeOf(won.value).toEqualTypeOf<string>();
  }
  if (won.key === "answer") expectTypeOf(won.value).toEqualTypeOf<number>();
  if (won.key === "tick" || won.key === "sent") expectTypeOf(won.value).toEqualTypeOf<undefined>();
  if (won.key === "stop") expectTypeOf(won.value).toEqualTypeOf<unknown>();
  expectTypeOf(won.key).toEqualTypeOf<"job" | "tick" | "stop" | "sent" | "answer">();
});

test("what cannot be a case is refused", () => {
  // @ts-expect-error: a number is no case
  void select({ job: 5 });
  // @ts-expect-error: a promise is never ready at once
  void trySelect({ answer: Promise.resolve(1) });
  // @ts-expect-error: the value must fit the channel
  sending(channel<number>(), "text");
});

test("received items are told apart from the end", async () => {
  const numbers: Channel<number> = channel(1);
  const received = await numbers.recv();
  if (received.done) expectTypeOf(received.value).toEqualTypeOf<undefined>();
  else expectTypeOf(received.value).toEqualTypeOf<number>();
  for await (const n of numbers) expectTypeOf(n).toEqualTypeOf<number>();
});
