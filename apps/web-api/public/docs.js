// Shows an OpenAPI document: operations with their input and answers, then the schemas they speak of.
import { element } from "./element.js";

const main = document.querySelector("#main");
const api = await (await fetch("/openapi.json")).json();

main.append(
  element("p", {}, api.info.description),
  ...Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => showOperation(method, path, operation)),
  ),
  element("h2", { class: "part" }, "Schemas"),
  ...Object.entries(api.components.schemas).map(([name, schema]) => showSchema(name, schema)),
);
openTarget();
addEventListener("hashchange", openTarget);

function showOperation(method, path, { operationId, summary, parameters = [], requestBody, responses }) {
  return element(
    "details",
    { class: "operation", id: operationId },
    element(
      "summary",
      {},
      element("span", { class: `method ${method}` }, method.toUpperCase()),
      element("code", {}, path),
      element("span", {}, summary),
    ),
    element(
      "div",
      { class: "body" },
      parameters.length === 0
        ? undefined
        : table(
            ["Parameter", "In", "Type", ""],
            parameters.map((parameter) => [
              element("code", {}, parameter.name),
              parameter.in,
              typeOf(parameter.schema),
              prose(parameter.required ? `Required. ${parameter.description ?? ""}` : parameter.description),
            ]),
          ),
      requestBody &&
        table(
          ["Body", ""],
          Object.entries(requestBody.content).map(([type, { schema }]) => [element("code", {}, type), typeOf(schema)]),
        ),
      table(
        ["Answer", "", ""],
        Object.entries(responses).map(([status, { description, content = {}, headers = {} }]) => [
          element("code", {}, status),
          prose(description),
          [
            ...Object.values(content).map(({ schema }) => typeOf(schema)),
            ...Object.keys(headers).map((name) => element("code", {}, ` ${name}`)),
          ],
        ]),
      ),
    ),
  );
}

function showSchema(name, schema) {
  const required = new Set(schema.required);
  return element(
    "details",
    { class: "schema", id: `schema-${name}` },
    element("summary", {}, element("strong", {}, name)),
    element(
      "div",
      { class: "body" },
      table(
        ["Member", "Type", "", ""],
        Object.entries(schema.properties ?? {}).map(([member, value]) => [
          element("code", {}, member),
          typeOf(value),
          required.has(member) ? "required" : "default" in value ? `default ${JSON.stringify(value.default)}` : "",
          prose(value.description),
        ]),
      ),
    ),
  );
}

function table(head, rows) {
  const cells = (name, values) => values.map((value) => element(name, {}, ...[value ?? ""].flat()));
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, cells("th", head))),
    element(
      "tbody",
      {},
      rows.map((row) =>
        element(
          "tr",
          {},
          row.map((value) => cells("td", [value])),
        ),
      ),
    ),
  );
}

/** A schema in a few words; one with a name links to its section. */
function typeOf(schema) {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split("/").at(-1);
    return element("a", { href: `#schema-${name}` }, name);
  }
  if (schema.enum !== undefined)
    return element("span", {}, schema.enum.map((value) => JSON.stringify(value)).join(" | "));
  if (schema.anyOf !== undefined) {
    return element(
      "span",
      {},
      schema.anyOf.flatMap((part, index) => (index === 0 ? [typeOf(part)] : [" | ", typeOf(part)])),
    );
  }
  if (schema.type === "array") return element("span", {}, "array of ", typeOf(schema.items ?? {}));
  const limits = [
    schema.format,
    schema.minimum !== undefined && schema.maximum !== undefined ? `${schema.minimum} to ${schema.maximum}` : undefined,
    schema.maxLength === undefined ? undefined : `up to ${schema.maxLength} characters`,
  ].filter((text) => text !== undefined);
  return element("span", {}, schema.type ?? "any", limits.length === 0 ? "" : ` (${limits.join(", ")})`);
}

/** Text with `code` in it. */
function prose(text = "") {
  return text.split("`").map((part, index) => (index % 2 === 1 ? element("code", {}, part) : part));
}

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.tagName !== "DETAILS") return;
  target.open = true;
  target.scrollIntoView();
}
