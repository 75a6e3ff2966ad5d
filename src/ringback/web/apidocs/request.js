// From the filled form of an operation to a request, its curl line, and its answer.

const SHOWN = 200_000;

/** The URL below `base` for values by `place:name`; path parameters are escaped, empty query parameters left out. */
export function urlOf(base, operation, values) {
  let path = operation.path;
  const query = new URLSearchParams();
  for (const parameter of operation.parameters) {
    const value = values[`${parameter.in}:${parameter.name}`] ?? "";
    if (parameter.in === "path") {
      path = path.replace(`{${parameter.name}}`, encodeURIComponent(value).replaceAll("%2C", ","));
    } else if (parameter.style === "deepObject") {
      for (const part of value.split(/[;&\s]+/).filter(Boolean)) {
        const [name, list] = part.split("=");
        query.append(`${parameter.name}[${name}]`, list ?? "");
      }
    } else if (value !== "") {
      query.append(parameter.name, value);
    }
  }
  const text = query.toString();
  return base + path + (text ? `?${text}` : "");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The request as a curl command; the token stands as $TOKEN, so that the line can be shown to others. */
export function curlOf(operation, url, body, contentType, withToken) {
  const parts = ["curl", ...(operation.method === "GET" ? [] : ["-X", operation.method]), quoted(url)];
  if (withToken) parts.push('-H "X-Auth-Token: $TOKEN"');
  if (contentType) parts.push("-H", quoted(`Content-Type: ${contentType}`));
  if (body instanceof File) parts.push("--data-binary", quoted(`@${body.name}`));
  else if (body) parts.push("--data-binary", quoted(body));
  return parts.join(" ");
}

/** Sends the request: {status, text} or {status, blob, contentType}, with how many milliseconds it took. */
export async function sent(operation, url, body, contentType, token) {
  const headers = {};
  if (token) headers["X-Auth-Token"] = token;
  if (contentType) headers["Content-Type"] = contentType;
  const began = performance.now();
  const reply = await fetch(url, { method: operation.method, headers, body: body || undefined, cache: "no-store" });
  const type = reply.headers.get("content-type") ?? "";
  const blob = await reply.blob();
  const answer = { status: reply.status, contentType: type, size: blob.size, ms: Math.round(performance.now() - began) };
  if (type.startsWith("application/json")) return { ...answer, json: JSON.parse(await blob.text()) };
  if (type.startsWith("text/")) return { ...answer, text: (await blob.text()).slice(0, SHOWN) };
  return { ...answer, blob };
}

/** A JSON answer, indented, cut where a page would get slow. */
export function pretty(value) {
  const text = JSON.stringify(value, null, 2);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}\n… (${text.length - SHOWN} characters more)` : text;
}
