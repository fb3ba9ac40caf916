import { expect, test } from "vitest";
import { HttpProblem, problem, responseOf } from "./problem.ts";

test("problem() makes a problem document with the reason phrase as title and extensions last", async () => {
  const response = problem({ detail: "Not that one", errors: [{ field: "name" }], status: 422 });

  expect(response.status).toBe(422);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(await response.text()).toBe(
    '{"title":"Unprocessable Entity","status":422,"detail":"Not that one","errors":[{"field":"name"}]}',
  );
});

test("problem() sends the given type, title, instance and headers", async () => {
  const response = problem(
    { status: 429, type: "https://api.test/slow", title: "Slow down", detail: "Wait", instance: "/calls/1" },
    { headers: { "retry-after": "5" } },
  );

  expect(response.headers.get("retry-after")).toBe("5");
  expect(await response.json()).toEqual({
    type: "https://api.test/slow",
    title: "Slow down",
    status: 429,
    detail: "Wait",
    instance: "/calls/1",
  });
});

test.each([200, 399, 600, 404.5, Number.NaN])("problem() and HttpProblem refuse the status %s", (status) => {
  const message = `Cannot make a problem: status must be an integer from 400 to 599, got ${status}`;
  expect(() => problem({ status, detail: "" })).toThrow(new RangeError(message));
  expect(() => new HttpProblem({ status, detail: "" })).toThrow(new RangeError(message));
});

test("HttpProblem is an error with code, status and cause that makes its response anew each time", async () => {
  const cause = new Error("row is gone");
  const error = new HttpProblem({ status: 404, detail: "No such order" }, { cause, headers: { "x-a": "1" } });

  expect(error).toMatchObject({ name: "HttpProblem", code: "ERR_HTTP_PROBLEM", status: 404, message: "No such order" });
  expect(error.cause).toBe(cause);
  expect(await error.toResponse().text()).toBe(await error.toResponse().text());
  expect(error.toResponse().headers.get("x-a")).toBe("1");
  expect(await error.toResponse().text()).not.toContain("row is gone");
});

test("A thrown value is taken for a problem by its code, not by its class", () => {
  const foreign = { code: "ERR_HTTP_PROBLEM", toResponse: () => new Response(null, { status: 418 }) };

  expect(responseOf(foreign)?.status).toBe(418);
  for (const other of [undefined, null, "text", new Error("x"), { code: "ERR_HTTP_PROBLEM" }]) {
    expect(responseOf(other)).toBeUndefined();
  }
});
