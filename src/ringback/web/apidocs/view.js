// Families, operations and schemas as elements.

import { article, el, prose } from "./dom.js";
import { tryForm } from "./form.js";
import { limits, resolved, typeName } from "./model.js";

/** The introduction and the families by module; `current` is marked: a name, "" for the introduction, null for none. */
export function familyList(modules, current) {
  const sections = modules.map((each) =>
    el("section", {}, el("h2", {}, each.module), el("ul", {}, each.families.map((family) => familyLink(family, current)))),
  );
  return [el("ul", {}, el("li", {}, link("", "Introduction", current))), ...sections];
}

function familyLink(family, current) {
  const count = el("span", { className: "count" }, String(family.operations.length));
  return el("li", {}, link(family.name, family.name, current, count));
}

function link(name, text, current, ...more) {
  const properties = name === current ? { "aria-current": "page" } : {};
  return el("a", { href: `#/${name}`, ...properties }, text, ...more);
}

/** What the document says of the API as a whole. */
export function introduction(spec) {
  return el("div", { className: "introduction" }, article(spec.info.description));
}

/** An operation, closed until somebody opens it; what is inside is made then. */
export function operationView(spec, operation, session) {
  const title = el(
    "summary",
    {},
    el("span", { className: `method ${operation.method.toLowerCase()}` }, operation.method),
    el("span", { className: "path" }, ...breakable(operation.path)),
    el("span", { className: "words" }, operation.summary),
  );
  const view = el("details", { className: "operation", id: operation.operationId }, title);
  view.addEventListener("toggle", () => {
    if (view.open && view.children.length === 1) view.append(...inside(spec, operation, session));
  });
  return view;
}

/** The path with places where a narrow screen may break it. */
function breakable(path) {
  return path.split(/(?=[/{.])/).flatMap((part) => [el("wbr"), part]);
}

function inside(spec, operation, session) {
  const login = operation.security.length === 0 ? "Needs no token." : "";
  const rights = [operation.description, login].filter(Boolean).join(" ");
  return [
    el("p", { className: "rights" }, el("code", {}, operation.operationId), rights ? ` – ${rights}` : ""),
    parameters(spec, operation),
    requestBody(spec, operation),
    answers(spec, operation),
    tryForm(spec, operation, session),
  ].filter(Boolean);
}

function parameters(spec, operation) {
  if (operation.parameters.length === 0) return null;
  const rows = operation.parameters.map((each) => {
    const schema = each.schema ?? Object.values(each.content)[0].schema;
    const words = [each.description, limits(schema)].filter(Boolean).join(" ");
    return [named(each.name, each.required), typeName(spec, schema), prose(words)];
  });
  return el("div", {}, el("h4", {}, "Parameters"), table(["Name", "Type", "Meaning"], rows));
}

function requestBody(spec, operation) {
  const content = operation.requestBody?.content;
  if (!content) return null;
  const schema = content["application/json"]?.schema;
  const part = schema ? schemaView(spec, schema) : el("p", {}, `A file: ${Object.keys(content).join(" or ")}.`);
  return el("div", {}, el("h4", {}, "Body"), part);
}

function answers(spec, operation) {
  const parts = Object.entries(operation.responses).map(([status, reference]) => answer(spec, status, reference));
  return el("div", {}, el("h4", {}, "Answers"), el("ul", { className: "answers" }, parts));
}

function answer(spec, status, reference) {
  const whole = resolved(spec, reference);
  const types = Object.keys(whole.content ?? {}).join(", ");
  const schema = whole.content?.["application/json"]?.schema;
  const text = [el("b", {}, status), " ", ...prose(whole.description), types ? el("span", { className: "type" }, ` ${types}`) : ""];
  if (!schema || !status.startsWith("2") || Object.keys(schema).length === 0) return el("li", {}, text);
  return el("li", {}, lazily(text, () => schemaView(spec, schema)));
}

function lazily(title, make) {
  const view = el("details", {}, el("summary", {}, title));
  view.addEventListener("toggle", () => {
    if (view.open && view.children.length === 1) view.append(make());
  });
  return view;
}

/** A schema as a table of its attributes; inner objects open on demand. */
export function schemaView(spec, schema) {
  const whole = innermost(spec, schema);
  if (!whole?.properties) return el("p", {}, typeName(spec, schema));
  const rows = Object.entries(whole.properties).map(([name, each]) => [
    named(name, whole.required?.includes(name)),
    innerType(spec, each),
    prose(limits(each)),
  ]);
  const lead = schema.type === "array" ? el("p", {}, "A list; each element:") : null;
  return el("div", {}, lead, table(["Attribute", "Type", "Meaning"], rows));
}

function innermost(spec, schema) {
  let whole = resolved(spec, schema);
  while (whole?.type === "array") whole = resolved(spec, whole.items);
  return whole?.anyOf ? resolved(spec, whole.anyOf.find((each) => each.$ref) ?? whole.anyOf[0]) : whole;
}

function innerType(spec, schema) {
  const inner = innermost(spec, schema);
  const name = typeName(spec, schema);
  return inner?.properties ? lazily([name], () => schemaView(spec, inner)) : name;
}

function named(name, required) {
  return [el("code", {}, name), required ? el("span", { className: "required", title: "required" }, " *") : ""];
}

function table(heads, rows) {
  const head = el("thead", {}, el("tr", {}, heads.map((each) => el("th", { scope: "col" }, each))));
  const body = el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)))));
  return el("div", { className: "wide" }, el("table", {}, head, body));
}
