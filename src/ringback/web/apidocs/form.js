// The form that tries an operation, and what came back.

import { el } from "./dom.js";
import { example } from "./model.js";
import { curlOf, pretty, sent, urlOf } from "./request.js";

let fields = 0;

/** `session` has base(), token() and keep(token). */
export function tryForm(spec, operation, session) {
  const result = el("div", { className: "result", "aria-live": "polite" });
  const inputs = operation.parameters.map((parameter) => parameterField(parameter));
  const body = bodyField(spec, operation);
  const button = el("button", { type: "submit" }, `Send ${operation.method}`);
  const form = el("form", { className: "try" }, el("h4", {}, "Try it"), inputs.map((each) => each.row), body?.row, button, result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (operation.method === "DELETE" && !confirm(`Really send DELETE ${operation.path}?`)) return;
    const values = Object.fromEntries(inputs.map((each) => [each.key, each.input.value.trim()]));
    button.disabled = true;
    await run(operation, urlOf(session.base(), operation, values), body, session, result);
    button.disabled = false;
  });
  return form;
}

async function run(operation, url, body, session, result) {
  const content = body?.content() ?? "";
  const type = content ? body.contentType(content) : "";
  const open = operation.security.length === 0;
  const token = open ? "" : session.token();
  const curl = el("pre", { tabIndex: 0, className: "curl" }, curlOf(operation, url, content, type, !open));
  result.replaceChildren(el("h5", {}, "Request"), curl);
  try {
    const answer = await sent(operation, url, content, type, token);
    result.append(...shown(answer));
    if (answer.json?.user_token) session.keep(answer.json.user_token);
  } catch (error) {
    result.append(el("p", { className: "bad" }, `No answer: ${error.message}`));
  }
}

function shown(answer) {
  const kind = answer.status < 300 ? "good" : "bad";
  const line = `${answer.status} · ${answer.size} bytes · ${answer.ms} ms · ${answer.contentType || "no body"}`;
  return [el("h5", {}, "Answer"), el("p", { className: kind }, line), ...content(answer)];
}

function content(answer) {
  if (answer.json !== undefined) return [el("pre", { tabIndex: 0 }, pretty(answer.json))];
  if (!answer.size) return [];
  const href = URL.createObjectURL(answer.blob);
  const save = el("a", { href, download: answer.name }, "Save the file");
  if (answer.text !== undefined) return [el("pre", { tabIndex: 0 }, answer.text), save];
  return answer.contentType.startsWith("audio/") ? [el("audio", { controls: true, src: href }), save] : [save];
}

function row(label, input, hint) {
  input.id = `field-${fields++}`;
  return el("div", { className: "field" }, el("label", { for: input.id }, label), input, hint ? el("small", {}, hint) : null);
}

function parameterField(parameter) {
  const schema = parameter.schema ?? {};
  const input = schema.enum
    ? el("select", {}, el("option", { value: "" }, "–"), schema.enum.map((each) => el("option", { value: each }, each)))
    : el("input", { type: "text", required: Boolean(parameter.required), placeholder: hintOf(parameter), spellcheck: false });
  input.autocomplete = "off";
  return { key: `${parameter.in}:${parameter.name}`, input, row: row(parameter.name, input) };
}

function hintOf(parameter) {
  if (parameter.content) return '[{"property": "id", "operator": "gte", "value": 1}]';
  if (parameter.style === "deepObject") return "relation=id,name";
  return parameter.schema?.default === undefined ? "" : String(parameter.schema.default);
}

function bodyField(spec, operation) {
  const content = operation.requestBody?.content;
  if (!content) return null;
  if (content["application/json"]) return jsonField(spec, content["application/json"].schema);
  const input = el("input", { type: "file", accept: Object.keys(content).join(",") });
  return { row: row("File", input), content: () => input.files[0], contentType: (file) => file.type || Object.keys(content)[0] };
}

function jsonField(spec, schema) {
  const text = JSON.stringify(example(spec, schema), null, 2);
  const input = el("textarea", { value: text, rows: Math.min(14, text.split("\n").length + 1), spellcheck: false });
  const hint = "A body to start from; attributes without * may be left out.";
  return { row: row("Body (JSON)", input, hint), content: () => input.value.trim(), contentType: () => "application/json" };
}
