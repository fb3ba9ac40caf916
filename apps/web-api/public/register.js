// The page of the register: search as you type, read, decide, add.
import { element } from "./element.js";

const filters = document.querySelector("#filters");
const list = document.querySelector("#list");
const count = document.querySelector("#count");
const more = document.querySelector("#more");
const detail = document.querySelector("#detail");
const dialog = document.querySelector("#dialog");

let search; // the running search: a newer one ends it
let reading; // the same for the licence being opened

filters.addEventListener("input", () => void showList());
filters.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => void showLicence());
document.querySelector("#add").addEventListener("click", () => dialog.showModal());
document.querySelector("#new").addEventListener("submit", (event) => void addLicence(event));
filters.elements.q.focus();
watchProtocol();
void showList();
void showLicence();

async function showList() {
  search?.abort();
  search = new AbortController();
  const query = new URLSearchParams([...new FormData(filters)].filter(([, value]) => value !== ""));
  if (query.get("q")?.trim() === "") query.delete("q");
  query.set("limit", "40");
  const page = await getPage(query, search.signal);
  if (page === undefined) return;
  list.replaceChildren(...page.items.map(listItem));
  list.scrollTop = 0;
  count.textContent = page.total === 1 ? "1 licence" : `${page.total} licences`;
  offerMore(query, page.next);
}

function offerMore(query, next) {
  more.hidden = next === null;
  more.onclick = async () => {
    query.set("cursor", next);
    const page = await getPage(query, search.signal);
    if (page === undefined) return;
    list.append(...page.items.map(listItem));
    offerMore(query, page.next);
  };
}

async function getPage(query, signal) {
  try {
    const response = await fetch(`/licences?${query}`, { signal });
    if (!response.ok) throw new Error(await explain(response));
    return await response.json();
  } catch (error) {
    if (error.name !== "AbortError") count.textContent = error.message;
    return undefined;
  }
}

function listItem({ id, name, policy, osiApproved, custom, snippet = [] }) {
  const current = chosenId() === id;
  const pieces = snippet.map(({ text, match }) => (match ? element("mark", {}, text) : text));
  return element(
    "li",
    {},
    element(
      "a",
      { href: `#${encodeURIComponent(id)}`, "aria-current": current ? "true" : undefined },
      element("div", { class: "line" }, element("span", { class: "id" }, id), tags({ policy, osiApproved, custom })),
      element("div", { class: "name" }, name),
      pieces.length > 0 ? element("div", { class: "snippet" }, pieces) : undefined,
    ),
  );
}

function tags({ policy, osiApproved, custom }) {
  return element(
    "span",
    { class: "tags" },
    custom ? element("span", { class: "tag" }, "added here") : undefined,
    osiApproved ? element("span", { class: "tag" }, "OSI") : undefined,
    policy === "unset" ? undefined : element("span", { class: `tag ${policy}` }, policy),
  );
}

/** The licence that the address names; none where it is no address of this page. */
function chosenId() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

async function showLicence() {
  const id = chosenId();
  for (const link of list.querySelectorAll("a")) {
    if (link.hash === location.hash) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  if (id === "") return;
  reading?.abort();
  reading = new AbortController();
  try {
    const response = await fetch(licenceUrl(id), { signal: reading.signal });
    if (!response.ok) throw new Error(await explain(response));
    fillDetail(await response.json(), response.headers.get("etag"));
    detail.scrollTop = 0;
  } catch (error) {
    if (error.name !== "AbortError") detail.replaceChildren(element("p", { class: "empty error" }, error.message));
  }
}

function fillDetail(licence, etag) {
  const { id, name, url, text, updatedAt } = licence;
  detail.replaceChildren(
    element("h2", {}, name),
    element(
      "div",
      { class: "facts" },
      element("span", { class: "id" }, id),
      tags(licence),
      url === null
        ? undefined
        : element("a", { href: url, rel: "noreferrer noopener", target: "_blank" }, new URL(url).host),
      element("span", {}, `changed ${new Date(updatedAt).toLocaleString()}`),
    ),
    policyForm(licence, etag),
    element("pre", {}, text),
  );
}

function policyForm({ id, policy, notes, custom }, etag) {
  const status = element("span", { role: "status" });
  const form = element(
    "form",
    { class: "policy", onsubmit: (event) => void save(event) },
    element(
      "fieldset",
      {},
      element("legend", {}, "Company policy"),
      ["approved", "review", "denied", "unset"].map((value) =>
        element(
          "label",
          {},
          element("input", { type: "radio", name: "policy", value, checked: value === policy }),
          value,
        ),
      ),
    ),
    element("textarea", { name: "notes", rows: "2", maxlength: "10000", placeholder: "Notes for colleagues" }, notes),
    element(
      "div",
      { class: "actions" },
      element("button", { class: "primary" }, "Save"),
      status,
      custom
        ? element("button", { type: "button", class: "danger", onclick: () => void remove() }, "Delete")
        : undefined,
    ),
  );
  return form;

  async function save(event) {
    event.preventDefault();
    const response = await send("PATCH", licenceUrl(id), Object.fromEntries(new FormData(form)), etag);
    if (!response.ok) {
      status.textContent =
        response.status === 412 ? "Somebody else has changed it: read it again first." : await explain(response);
      return;
    }
    fillDetail(await response.json(), response.headers.get("etag"));
    detail.querySelector("[role=status]").textContent = "Saved";
    await showList();
  }

  async function remove() {
    if (!confirm(`Delete ${id}?`)) return;
    const response = await send("DELETE", licenceUrl(id), undefined, etag);
    if (!response.ok) {
      status.textContent = await explain(response);
      return;
    }
    location.hash = "";
    detail.replaceChildren(element("p", { class: "empty" }, `${id} is gone.`));
    await showList();
  }
}

async function addLicence(event) {
  if (event.submitter?.value !== "add") return;
  event.preventDefault();
  const form = event.target;
  const { url, ...fields } = Object.fromEntries(new FormData(form));
  const response = await send("POST", "/licences", url === "" ? fields : { ...fields, url });
  if (!response.ok) {
    form.querySelector(".error").textContent = await explain(response);
    return;
  }
  form.querySelector(".error").textContent = "";
  form.reset();
  dialog.close();
  await showList();
  location.hash = encodeURIComponent(fields.id);
}

function send(method, url, body, etag) {
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  return fetch(url, {
    method,
    headers: { ...(body && { "content-type": type }), ...(etag && { "if-match": etag }) },
    ...(body && { body: JSON.stringify(body) }),
  });
}

async function explain(response) {
  const { detail: text, errors = [] } = await response.json();
  return errors.length === 0 ? text : errors.map(({ field, message }) => `${field} ${message}`).join(", ");
}

function licenceUrl(id) {
  return `/licences/${encodeURIComponent(id)}`;
}

/** Shows which protocol brought the page and, from then on, what it fetches. */
function watchProtocol() {
  const names = { "http/1.1": "HTTP/1.1", h2: "HTTP/2", h3: "HTTP/3" };
  const output = document.querySelector("#protocol");
  const show = (entries) => {
    const protocol = entries.findLast(({ nextHopProtocol }) => nextHopProtocol in names)?.nextHopProtocol;
    if (protocol !== undefined) output.replaceChildren("served over ", element("strong", {}, names[protocol]));
  };
  show(performance.getEntriesByType("navigation"));
  new PerformanceObserver((entries) => show(entries.getEntries())).observe({ type: "resource", buffered: true });
}
