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

/** The request as a curl command; the token stands as a variable, so that the line can be shown to others. */
export function curlOf(operation, url, body, contentType, withToken) {
  const parts = ["curl", ...(operation.method === "GET" ? [] : ["-X", operation.method]), quoted(url)];
  if (withToken) parts.push('-H "X-Auth-Token: $RINGBACK_TOKEN"');
  if (contentType) parts.push("-H", quoted(`Content-Type: ${contentType}`));
  if (body instanceof File) parts.push("--data-binary", quoted(`@${body.name}`));
  else if (body) parts.push("--data-binary", quoted(body));
  return parts.join(" ");
}

const EXTENSIONS = {
  "audio/mpeg": "mp3",
  "audio/wav": "wav",
  "text/csv": "csv",
  "text/plain": "txt",
  "application/vnd.tcpdump.pcap": "pcap",
};

/** How to name a saved answer: as the server says, or else after its path and type. */
function fileName(url, reply) {
  const told = /filename="([^"]+)"/.exec(reply.headers.get("content-disposition") ?? "");
  if (told) return told[1];
  const path = new URL(url).pathname.replace(/\.\w+$/, "").split("/").slice(-2).join("-");
  const type = (reply.headers.get("content-type") ?? "").split(";")[0].trim();
  return `${path}.${EXTENSIONS[type] ?? "bin"}`;
}

/** Sends the request: {status, json}, or {status, blob, name} and the text if it is one, with the milliseconds it took. */
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
  const file = { ...answer, blob, name: fileName(url, reply) };
  return type.startsWith("text/") ? { ...file, text: (await blob.text()).slice(0, SHOWN) } : file;
}

/** A JSON answer, indented, cut where a page would get slow. */
export function pretty(value) {
  const text = JSON.stringify(value, null, 2);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}\n… (${text.length - SHOWN} characters more)` : text;
}
