// Chats with visitors: which wait, which are mine, and one conversation. What others wrote is text, never markup.
// Being here is said every ten seconds. What changes is told by the stream; the token stays in this tab.

const byId = (id) => document.getElementById(id);
const API = new URL("v1.1/voipstudio", new URL(".", location.href)).href;
const [SLOT, OURS] = ["ringback-token", "ringback-session"]; // OURS: the token was made by a login here, and ends with it
const HERE_EVERY_MS = 10_000;
const TYPING_EVERY_MS = 3_000;
const TYPING_SHOWN_MS = 6_000;
const EVENTS = ["reset", "heartbeat", "chat.created", "chat.updated", "chat.ended", "chatmsg.created", "chatmsg.updated"];

let token = "";
let nonce = "";
let me = null;
let open = 0; // the chat that is shown
let source = null; // of what changes, and the timer of being here: both end with the login
let beating = 0;
const chats = new Map();
const lines = new Map(); // elements of the lists, by chat
const messages = new Map(); // of the chat that is shown
const parts = {};

function el(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

async function ask(method, path, body) {
  const headers = { "Content-Type": "application/json", ...(token && { "X-Auth-Token": token }) };
  try {
    const reply = await fetch(API + path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
    const found = await reply.json().catch(() => ({}));
    if (reply.status === 401 && me) leave("Log in again.");
    return { ok: reply.ok, status: reply.status, ...found };
  } catch {
    return { ok: false, status: 0, message: "There is no connection." };
  }
}

// -- being here ------------------------------------------------------------------------------------------------------------

async function login(event) {
  event.preventDefault();
  byId("fault").textContent = "";
  token = byId("token").value.trim();
  if (!token || nonce) {
    const answer = await (nonce ? second() : ask("POST", "/login", { email: byId("email").value, password: byId("password").value }));
    if (answer.nonce) return askSecond(answer.nonce);
    byId("fault").textContent = answer.user_token ? "" : answer.message;
    if (!answer.user_token) return;
    token = answer.user_token;
    sessionStorage.setItem(OURS, "yes");
  }
  await begin();
}

const second = () => ask("POST", "/login2fa", { code: byId("code").value.trim(), nonce });

/** The password was right and a code is wanted (`given`: what it goes with), or all begins anew. */
function askSecond(given) {
  nonce = given;
  byId("first").hidden = Boolean(nonce);
  for (const id of ["second", "anew"]) byId(id).hidden = !nonce;
  byId("code").value = "";
  byId("fault").textContent = "";
  byId(nonce ? "code" : "email").focus();
}

async function begin() {
  const answer = await ask("GET", "/me");
  if (!answer.ok) {
    byId("fault").textContent = answer.message || "This token opens nothing.";
    return;
  }
  me = answer.data;
  sessionStorage.setItem(SLOT, token);
  for (const id of ["token", "password"]) byId(id).value = "";
  if (nonce) askSecond("");
  show(true);
  await here();
  if (!me) return; // out again
  clearInterval(beating);
  beating = setInterval(here, HERE_EVERY_MS);
  follow(me);
}

async function here() {
  const answer = await ask("POST", "/chats/presence", { is_online: true });
  if (me) byId("state").textContent = answer.ok ? "You are online" : answer.message || "Not online";
}

function show(isIn) {
  byId("login").hidden = isIn;
  for (const id of ["desk", "leave", "sounding"]) byId(id).hidden = !isIn;
}

async function leave(why = "") {
  const isOurs = sessionStorage.getItem(OURS);
  me = null;
  clearInterval(beating);
  source?.close();
  if (token && !why) {
    await ask("POST", "/chats/presence", { is_online: false });
    if (isOurs) await ask("POST", "/logout");
  }
  token = "";
  open = 0;
  chats.clear();
  lines.clear();
  for (const slot of [SLOT, OURS]) sessionStorage.removeItem(slot);
  show(false);
  byId("state").textContent = "Not logged in";
  byId("fault").textContent = why;
}

// -- what changes ------------------------------------------------------------------------------------------------------------

/** `who`: as long as it is they who are logged in. */
async function follow(who) {
  let seen = "";
  while (me === who) {
    const answer = await ask("POST", "/events/tickets");
    if (answer.ok && me === who) {
      source = new EventSource(`${API}/events?ticket=${answer.data.ticket}&last_event_id=${seen}`);
      for (const name of EVENTS) {
        source.addEventListener(name, (event) => {
          seen = event.lastEventId;
          told(name, JSON.parse(event.data));
        });
      }
      await new Promise((broken) => { source.onerror = broken; });
      source.close();
    }
    await new Promise((later) => { setTimeout(later, 500 + 1000 * Math.random()); });
  }
}

async function told(name, data) {
  if (!me) return;
  if (name === "reset") await list();
  else if (name === "chat.ended") for (const each of [chats, lines]) each.delete(data.id);
  else if (name.startsWith("chat.")) changed(data);
  else if (name.startsWith("chatmsg.")) return heard(data);
  draw();
}

async function list() {
  const filter = JSON.stringify([{ property: "state", operator: "in", value: ["WAITING", "ACTIVE"] }]);
  const answer = await ask("GET", `/chats?limit=100&filter=${encodeURIComponent(filter)}`);
  if (!answer.ok) return;
  const shown = chats.get(open);
  chats.clear();
  for (const chat of answer.data) chats.set(chat.id, chat);
  if (open) {
    const one = await ask("GET", `/chats/${open}`);
    if (one.ok) chats.set(open, one.data);
    else if (shown) chats.set(open, shown);
    await listMessages(open);
  }
}

function changed(chat) {
  const before = chats.get(chat.id);
  if (chat.state === "WAITING" && !before) ring();
  chats.set(chat.id, chat);
  if (chat.id === open && chat.visitor_typing_at && chat.visitor_typing_at !== before?.visitor_typing_at) typingShown();
}

async function heard(message) {
  const chat = chats.get(message.chat_id);
  if (message.chat_id === open) {
    put(message);
  } else if (chat && message.from_id === "0" && !message.delivered_at) {
    chat.unread = true;
    ring();
    if (chat.state === "ACTIVE") ask("POST", `/chats/${chat.id}/marks`, { delivered_id: message.id });
    draw();
  }
}

// -- the lists ---------------------------------------------------------------------------------------------------------------

const isMine = (chat) => chat.operator_id === me.id && (chat.state === "ACTIVE" || chat.id === open);

function draw() {
  if (!me) return;
  lists("waiting", [...chats.values()].filter((each) => each.state === "WAITING"));
  lists("mine", [...chats.values()].filter(isMine));
  drawHead();
}

function lists(id, found) {
  found.sort((one, other) => one.id - other.id);
  byId(`n_${id}`).textContent = `(${found.length})`;
  const list = byId(id);
  const shown = found.map(line);
  for (const each of [...list.children]) if (!shown.includes(each)) each.remove();
  shown.forEach((each, at) => list.children[at] === each || list.insertBefore(each, list.children[at] || null));
}

/** The same element each time, so that a press on it is not lost when something else changes. */
function line(chat) {
  const about = [chat.visitor_country, chat.visitor_page].filter(Boolean).join(" · ");
  const [name, more] = [el("b", { dir: "auto" }, nameOf(chat)), el("small", {}, chat.unread ? "new message" : about)];
  if (!lines.has(chat.id)) lines.set(chat.id, el("li", {}, el("button", { type: "button", onclick: () => choose(chat.id) })));
  const button = lines.get(chat.id).firstChild;
  button.replaceChildren(name, more);
  button.ariaCurrent = chat.id === open ? "true" : null;
  return lines.get(chat.id);
}

const nameOf = (chat) => chat.visitor_name || `Visitor ${chat.id}`;

// -- one conversation --------------------------------------------------------------------------------------------------------

async function choose(id) {
  open = id;
  chats.get(id).unread = false;
  messages.clear();
  frame();
  draw();
  await listMessages(id);
}

async function listMessages(id) {
  const sort = encodeURIComponent(JSON.stringify([{ property: "id", direction: "ASC" }]));
  const answer = await ask("GET", `/chats/${id}/chatmsgs?limit=1000&sort=${sort}`);
  if (answer.ok && id === open) for (const each of answer.data) put(each);
}

function frame() {
  parts.head = el("div", { className: "row" });
  parts.about = el("p", { className: "about" });
  parts.log = el("div", { className: "log", role: "log", tabIndex: 0, "aria-label": "Messages", "aria-live": "polite" });
  parts.typing = el("p", { className: "typing", role: "status" });
  parts.text = el("textarea", { "aria-label": "Message", maxLength: 4000, rows: 2, oninput: typed, onkeydown: entered });
  parts.write = el("form", { className: "write", onsubmit: send }, parts.text, el("button", { type: "submit" }, "Send"));
  parts.fault = el("p", { role: "alert" });
  byId("talk").replaceChildren(parts.head, parts.about, parts.log, parts.typing, parts.fault, parts.write);
}

function drawHead() {
  const chat = chats.get(open);
  if (!chat) {
    byId("talk").replaceChildren(el("p", { className: "hint" }, open ? "Somebody else has this chat." : "Choose a chat."));
    open = 0;
    return;
  }
  const act = (name, text, kind) => el("button", { type: "button", className: kind, onclick: () => act_(name) }, text);
  const isActive = chat.state === "ACTIVE";
  const key = `${chat.id} ${chat.state}`;
  if (parts.key !== key || !parts.head.firstChild) {
    parts.key = key;
    const button = chat.state === "WAITING" ? act("take", "Take") : isActive && act("end", "End", "quiet");
    parts.head.replaceChildren(...[el("h2", { dir: "auto" }, nameOf(chat)), button || el("span", {}, chat.state)].filter(Boolean));
  }
  parts.about.textContent = [chat.visitor_email, chat.visitor_country, chat.visitor_city, chat.visitor_page, chat.visitor_referer && `from ${chat.visitor_referer}`, chat.visitor_ua].filter(Boolean).join(" · ");
  parts.write.hidden = !isActive;
}

async function act_(name) {
  const answer = await ask("POST", `/chats/${open}/${name}`);
  parts.fault.textContent = answer.ok ? "" : answer.message;
  if (answer.ok) changed(answer.data);
  draw();
  if (answer.ok && name === "take") {
    parts.text.focus();
    await listMessages(open);
  }
}

/** A message, new or changed, at its place; what is shown of a visitor is read. */
function put(message) {
  const isNew = !messages.has(message.id);
  const isOurs = message.from_id !== "0";
  const element = messages.get(message.id) || el("p", { dir: "auto" });
  const mark = isOurs ? (message.read_at ? " · read" : message.delivered_at ? " · delivered" : " · sent") : "";
  element.className = isOurs ? "said mine" : "said";
  element.replaceChildren(message.message, el("small", { dir: "ltr" }, `${isOurs ? message.from_name || "You" : nameOf(chats.get(open))} · ${message.created_at.slice(11, 16)} UTC${mark}`));
  element.dataset.id = message.id;
  messages.set(message.id, element);
  if (isNew) place(element, message.id);
  if (!isOurs) parts.typing.textContent = "";
  if (!isOurs && !message.read_at && chats.get(open)?.state === "ACTIVE") {
    if (isNew && document.hidden) ring();
    ask("POST", `/chats/${open}/marks`, document.hidden ? { delivered_id: message.id } : { read_id: message.id });
  }
}

function place(element, id) {
  const after = [...parts.log.children].find((each) => +each.dataset.id > id);
  parts.log.insertBefore(element, after || null);
  parts.log.scrollTop = parts.log.scrollHeight;
}

function typingShown() {
  parts.typing.textContent = "The visitor is writing …";
  clearTimeout(parts.typingTimer);
  parts.typingTimer = setTimeout(() => { parts.typing.textContent = ""; }, TYPING_SHOWN_MS);
}

function typed() {
  if (Date.now() < (parts.typedAt || 0) + TYPING_EVERY_MS) return;
  parts.typedAt = Date.now();
  ask("POST", `/chats/${open}/typing`);
}

function entered(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  parts.write.requestSubmit();
}

/** Sent again until the server has it: it stores a message once. */
async function send(event) {
  event.preventDefault();
  const message = parts.text.value.trim();
  if (!message) return;
  const body = { chat_id: open, message, key: crypto.getRandomValues(new Uint32Array(4)).join("-") };
  parts.text.value = "";
  parts.typedAt = 0;
  let answer;
  do {
    answer = await ask("POST", "/chatmsgs", body);
    parts.fault.textContent = answer.ok ? "" : answer.message || "Not sent.";
    if (!answer.status || answer.status >= 500) await new Promise((later) => { setTimeout(later, 1500); });
  } while (me && (!answer.status || answer.status >= 500));
  if (answer.ok && body.chat_id === open) put(answer.data);
  else if (!answer.ok && body.chat_id === open) parts.text.value = message;
}

// -- sound, off unless it is wanted ---------------------------------------------------------------------------------------------

let audio = null;

function ring() {
  if (!byId("sound").checked) return;
  audio ||= new AudioContext();
  const [tone, volume] = [audio.createOscillator(), audio.createGain()];
  tone.frequency.value = 880;
  volume.gain.setValueAtTime(0.15, audio.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.4);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.4);
}

byId("login").addEventListener("submit", login);
byId("leave").addEventListener("click", () => leave());
byId("anew").addEventListener("click", () => askSecond(""));
document.addEventListener("visibilitychange", () => { if (me && open && !document.hidden) listMessages(open).then(readAll); });

/** What came while nobody looked is read now. */
function readAll() {
  const last = Math.max(0, ...messages.keys());
  if (last && chats.get(open)?.state === "ACTIVE") ask("POST", `/chats/${open}/marks`, { read_id: last });
}

token = sessionStorage.getItem(SLOT) || "";
if (token) begin();
