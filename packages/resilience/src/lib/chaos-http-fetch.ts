// Spoils the answers of a fetch handler.
import { type Clock, sleep } from "@proj/concurrency";
import type { BodyPlan, HttpFaultPlan } from "./chaos-http-rules.ts";

/** The handler's answer, as the plan wants it. */
export async function answerBadly(
  plan: HttpFaultPlan,
  request: Request,
  handle: () => Response | PromiseLike<Response>,
  clock: Clock,
): Promise<Response> {
  if (plan.noAnswer) await sleep(Number.POSITIVE_INFINITY, { signal: request.signal, clock });
  if (plan.delay > 0) await sleep(plan.delay, { signal: request.signal, clock });
  const { status } = plan;
  const response =
    status === undefined
      ? await handle()
      : new Response(status.body ?? null, {
          status: status.status,
          ...(status.headers === undefined ? {} : { headers: status.headers }),
        });
  if ((plan.body === undefined && plan.wrongBy === 0) || response.body === null) return response;
  const headers = new Headers(response.headers);
  const length = headers.get("content-length");
  if (plan.wrongBy !== 0 && length !== null) {
    headers.set("content-length", String(Math.max(0, Number(length) + plan.wrongBy)));
  }
  const body = plan.body === undefined ? response.body : spoil(response.body, plan.body, request.signal, clock);
  return new Response(body, { status: response.status, statusText: response.statusText, headers });
}

function spoil(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  { slice, interval, limit, end }: BodyPlan,
  signal: AbortSignal,
  clock: Clock,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  // Ends a pause, when the request is given up or the answer is.
  const over = new AbortController();
  signal.addEventListener("abort", () => over.abort(signal.reason), { once: true, signal: over.signal });
  if (signal.aborted) over.abort(signal.reason);
  let rest: Uint8Array<ArrayBuffer> | undefined;
  let left = limit;
  let isFirst = true;
  const pause = async (): Promise<void> => {
    try {
      await sleep(interval, { signal: over.signal, clock });
    } catch (reason) {
      reader.cancel(reason).catch(() => {}); // it is given up either way
      throw reason;
    }
  };
  return new ReadableStream(
    {
      async pull(controller) {
        if (left <= 0) {
          if (end === "reset") controller.error(new Error("The connection was reset by an HTTP fault"));
          else controller.close();
          over.abort();
          await reader.cancel();
          return;
        }
        while (rest === undefined || rest.length === 0) {
          const { done, value } = await reader.read();
          if (done) {
            controller.close();
            over.abort();
            return;
          }
          rest = value;
        }
        if (!isFirst && interval > 0) await pause();
        isFirst = false;
        const size = Math.min(rest.length, slice, left);
        controller.enqueue(rest.subarray(0, size));
        rest = rest.subarray(size);
        left -= size;
      },
      async cancel(reason) {
        over.abort(reason);
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
