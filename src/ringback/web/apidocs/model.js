// The OpenAPI document as lists that the page can show. Pure.

const METHODS = ["get", "post", "put", "patch", "delete"];

/** [{module, families: [{name, operations: [operation]}]}], in the order of the document's tags. */
export function modulesOf(spec) {
  const operations = operationsOf(spec);
  const modules = new Map();
  for (const tag of spec.tags) {
    const family = { name: tag.name, operations: operations.filter((each) => each.tags.includes(tag.name)) };
    const name = tag["x-module"];
    if (!modules.has(name)) modules.set(name, { module: name, families: [] });
    modules.get(name).families.push(family);
  }
  return [...modules.values()];
}

function operationsOf(spec) {
  const found = [];
  for (const [path, methods] of Object.entries(spec.paths)) {
    for (const method of METHODS) {
      if (methods[method]) found.push({ method: method.toUpperCase(), path, ...methods[method] });
    }
  }
  return found;
}

/** Whether every word stands somewhere in the operation's method, path, id or summary. */
export function matches(operation, words) {
  const text = `${operation.method} ${operation.path} ${operation.operationId} ${operation.summary}`.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** What a reference points to; anything else is itself. */
export function resolved(spec, value) {
  if (!value || !value.$ref) return value;
  return value.$ref.split("/").slice(1).reduce((at, name) => at[name], spec);
}

/** A schema in a few words: `integer`, `text or null`, `list of text`, `Cdr`. */
export function typeName(spec, schema) {
  if (!schema || Object.keys(schema).length === 0) return "anything";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map((each) => typeName(spec, each)).join(" or ");
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  if (schema.type === "array") return `list of ${typeName(spec, schema.items)}`;
  return [schema.type ?? "anything"].flat().map((each) => (each === "string" ? "text" : each)).join(" or ");
}

/** The limits of a schema, in words. */
export function limits(schema) {
  const whole = schema.anyOf?.find((each) => each.type !== "null") ?? schema;
  const words = [];
  if (whole.maxLength) words.push(`up to ${whole.maxLength} characters`);
  if (whole.maxItems) words.push(`up to ${whole.maxItems} entries`);
  if (whole.minimum > 0) words.push(`from ${whole.minimum}`);
  if (whole.maximum !== undefined && whole.maximum < 2 ** 53) words.push(`to ${whole.maximum}`);
  if (whole.default !== undefined) words.push(`default ${JSON.stringify(whole.default)}`);
  const text = words.join(", ");
  return [schema.description ?? whole.description, text].filter(Boolean).join("; ");
}

/** A value that a schema could have, to start a request body from: what is required, or else (and beside an id) everything. */
export function example(spec, schema, depth = 0) {
  const whole = resolved(spec, schema) ?? {};
  if (depth > 4) return null;
  if (whole.examples) return whole.examples[0];
  if (whole.enum) return whole.enum[0];
  if (whole.anyOf) return example(spec, whole.anyOf.find((each) => each.type !== "null"), depth + 1);
  if (whole.type === "array") return [example(spec, whole.items, depth + 1)];
  if (whole.properties) {
    const required = whole.required ?? [];
    const names = required.some((name) => name !== "id") ? required : Object.keys(whole.properties);
    return Object.fromEntries(names.map((name) => [name, example(spec, whole.properties[name], depth + 1)]));
  }
  return { string: "", integer: whole.minimum ?? 0, number: 0, boolean: false, object: {} }[[whole.type].flat()[0]] ?? null;
}
