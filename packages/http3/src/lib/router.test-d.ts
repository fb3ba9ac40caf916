import { expectTypeOf, test } from "vitest";
import { type PathParams, Router } from "../router.ts";

test("PathParams names the parameters of a template", () => {
  expectTypeOf<PathParams<"/orders/:id/files/*path">>().toEqualTypeOf<{ readonly id: string; readonly path: string }>();
  expectTypeOf<keyof PathParams<"/orders">>().toEqualTypeOf<never>();
  expectTypeOf<PathParams<string>>().toEqualTypeOf<Readonly<Record<string, string>>>();
});

test("A handler sees the parameters of its path and of the prefixes around it", () => {
  const router = new Router();
  router.get("/orders/:id", (_request, { params }) => {
    expectTypeOf(params.id).toEqualTypeOf<string>();
    // @ts-expect-error the path has no such parameter
    return new Response(params.name);
  });
  router.group("/teams/:team", (group) => {
    group.on("PURGE", "/members/:id", (_request, { params, protocol }) => {
      expectTypeOf(params).toEqualTypeOf<{ readonly team: string; readonly id: string }>();
      expectTypeOf(protocol).toEqualTypeOf<"http/1.1" | "h2" | "h3">();
      return new Response();
    });
  });
});

test("A handler must answer", () => {
  // @ts-expect-error nothing is returned
  new Router().get("/", () => {});
});
