import { expectTypeOf, test } from "vitest";
import { Cache, type CapacityAdvice, type EvictionCause } from "../index.ts";

test("Cache knows the types of keys and values", () => {
  const cache = new Cache<number, string>({
    max: 1,
    weigh: (value, key) => value.length + key,
    onEvict: (key, value, cause) => {
      expectTypeOf(key).toBeNumber();
      expectTypeOf(value).toBeString();
      expectTypeOf(cause).toEqualTypeOf<EvictionCause>();
    },
  });
  expectTypeOf(cache.get(1)).toEqualTypeOf<string | undefined>();
  expectTypeOf(cache.getMulti([1])).toEqualTypeOf<Map<number, string>>();
  expectTypeOf([...cache]).toEqualTypeOf<[number, string][]>();
  expectTypeOf(cache.advise()).toEqualTypeOf<CapacityAdvice>();
  expectTypeOf(cache.warm(cache.snapshot())).toBeNumber();
});

test("Cache refuses keys, values and options of other types", () => {
  const cache = new Cache<number, string>({ max: 1 });
  // @ts-expect-error a key is a number
  cache.get("1");
  // @ts-expect-error a value is a text
  cache.set(1, 2);
  // @ts-expect-error there is no such policy
  new Cache({ max: 1, policy: "mru" });
  // @ts-expect-error a ttl is a number of milliseconds
  cache.set(1, "a", { ttl: "1s" });
});
