import { expect, test } from "vitest";
import { resolveOptions, type ServeOptions } from "./serve-options.ts";

test.each<[unknown, RegExp]>([
  [{ port: -1 }, /^Cannot serve: port must be an integer from 0 to 65535, got -1$/],
  [{ port: 65_536 }, /port/],
  [{ port: "80" }, /port must be .* got '80'$/],
  [{ host: "" }, /host must be an address or a name, got ""/],
  [{ drainTimeout: -1 }, /drainTimeout/],
  [{ drainGrace: Number.NaN }, /drainGrace/],
  [{ tls: true }, /tls must be/],
  [{ tls: { key: "k" } }, /got cert as undefined/],
  [{ protocols: [] }, /protocols must be some of http\/1.1, h2, h3, got \[\]/],
  [{ protocols: ["h4"] }, /h4/],
  [{ tls: false, protocols: ["h2"] }, /h2 without TLS/],
  [{ tls: { key: "k", cert: "c", requestCert: true } }, /HTTP\/3 cannot ask for client certificates/],
  [{ limits: { maxBodySize: "1" } }, /limits.maxBodySize must be a number, got string/],
  [{ limits: { maxBodySize: -1 } }, /limits.maxBodySize must be 0 or more, got -1/],
  [{ limits: { bodyTimeout: 0 } }, /limits.bodyTimeout must be more than 0 milliseconds, got 0/],
  [{ limits: { maxStreams: Number.POSITIVE_INFINITY } }, /limits.maxStreams must be a positive integer/],
  [{ limits: { maxHeaderSize: 1.5 } }, /limits.maxHeaderSize must be a positive integer below 2\^31, got 1.5/],
  [{ limits: null }, /limits must be an object, got null/],
  [{ clock: {} }, /clock must be a Clock, got {}/],
  [{ tls: { key: "k", cert: "c" }, protocols: ["h2"] }, /the key and certificates of tls cannot be used: .*PEM/],
  [{ tls: { key: "k", cert: "c", ca: 5 } }, /got ca as number/],
  [null, /options must be an object, got null/],
  [{ onEvent: "log" }, /onEvent must be a function, got string/],
])("%j is refused with a message that names it", (options, message) => {
  const resolve = (): unknown => resolveOptions(options as ServeOptions); // wrong on purpose
  expect(resolve).toThrow(message);
  expect(resolve).toThrow(/^Cannot serve: /);
});

test("the defaults are all protocols with a development certificate on 8443, or HTTP/1.1 on 8080", () => {
  expect(resolveOptions({})).toMatchObject({
    port: 8443,
    tls: "development",
    protocols: ["http/1.1", "h2", "h3"],
    drainTimeout: 10_000,
  });
  expect(resolveOptions({ tls: false })).toMatchObject({ port: 8080, tls: undefined, protocols: ["http/1.1"] });
  expect(resolveOptions({ protocols: ["h3", "h2"] }).protocols).toEqual(["h2", "h3"]);
});
