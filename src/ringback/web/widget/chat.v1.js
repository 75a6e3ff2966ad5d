// The chat with an operator, loaded when a visitor opens it. What others wrote is text, never markup.
//
// A message waits here until the server has it; it has an id, so that sending it again changes nothing. After a break the socket says
// which number came last, and gets what came since.

const OPEN = ["WAITING", "ACTIVE"];
const AWAY = ["MISSED", "OFFLINE"];
const TYPING_EVERY_MS = 3000;
const TYPING_SHOWN_MS = 6000;
const [SOON_MS, LATE_MS] = [500, 10_000]; // between attempts to come back
const GONE = 4404; // how the server closes a socket whose widget or visitor it does not know
const CROWDED = 4409; // and one from where too many come
const MOST_TRIES = 3; // of a message whose challenge was not taken

const STYLE = `
.log { display: flex; flex-direction: column; gap: 6px; max-height: min(260px, 38dvh); margin: 12px 0 0; padding: 6px; overflow-y: auto; overscroll-behavior: contain; border-radius: 12px; }
.log:empty { display: none; }
.said { max-width: 85%; margin: 0; padding: 8px 12px; border-radius: 14px; background: var(--tint); color: var(--ink); white-space: pre-wrap; overflow-wrap: anywhere; align-self: flex-start; }
.said.own { align-self: flex-end; background: var(--accent); color: var(--on); }
.said small { display: block; font-size: 12px; }
.typing { min-height: 24px; margin: 4px 0 0; font-size: 14px; }
textarea { display: block; width: 100%; min-height: 76px; padding: 10px 14px; border: 1px solid var(--edge); border-radius: 12px; background: var(--ground); color: inherit; font: var(--font); resize: vertical; }
textarea:focus { outline: 3px solid var(--accent); outline-offset: -1px; }
.log + .typing + form label { margin-top: 8px; }
@media (forced-colors: active) { .said { border: 1px solid; } }
`;

export class Chat {
  constructor(panel) {
    this.panel = panel;
    this.el = panel.el;
    this.state = null;
    this.chat = 0; // the server's number of it
    this.seen = 0;
    this.marked = { delivered: 0, read: 0 };
    this.own = new Map(); // elements of the visitor's messages, by id
    this.unsent = panel.remembered().unsent || [];
    this.wait = SOON_MS;
    panel.widget.add(STYLE);
    this.build();
    document.addEventListener("visibilitychange", () => this.mark());
    this.connect();
  }

  text(key, values) {
    return this.panel.text(`chat_${key}`, values).replace(" …", "\u00a0…");
  }

  // -- what one sees ---------------------------------------------------------------------------------------------------------

  build() {
    const { el } = this;
    this.line = el("p", { className: "message", role: "status" }, this.text("hello"));
    this.log = el("div", { className: "log", role: "log", tabIndex: 0, "aria-live": "polite", "aria-label": this.text("log"), onscroll: () => this.scrolled() });
    this.isAtEnd = true;
    new ResizeObserver(() => this.stayAtEnd()).observe(this.log);
    this.typing = el("p", { className: "typing" });
    this.name = el("input", { id: "chat-name", className: "box", autocomplete: "name", maxLength: 100 });
    this.email = el("input", { id: "chat-email", className: "box", type: "email", autocomplete: "email", maxLength: 254, "aria-describedby": "chat-error" });
    this.input = el("textarea", { id: "chat-text", maxLength: 4000, rows: 2, "aria-describedby": "chat-error", oninput: () => this.typed(), onkeydown: (event) => this.pressed(event) });
    this.error = el("p", { className: "error", id: "chat-error", role: "alert" });
    this.nameField = this.field("chat-name", this.panel.text("name"), this.name);
    this.emailField = this.field("chat-email", this.text("email"), this.email);
    this.textField = this.field("chat-text", this.text("message"), this.input);
    this.send = el("button", { className: "main", type: "submit" }, this.text("send"));
    this.form = el("form", { noValidate: true, onsubmit: (event) => this.submit(event) }, this.nameField, this.textField, this.emailField, this.error, this.send);
    this.actions = el("div");
    this.view = [this.line, this.log, this.typing, this.form, this.actions];
  }

  field(id, text, input) {
    return this.el("div", {}, this.el("label", { htmlFor: id }, text), input);
  }

  show() {
    const { panel } = this;
    Object.assign(panel, { request: null, input: this.input });
    panel.heading.textContent = this.text("title");
    panel.status.replaceChildren();
    panel.body.replaceChildren(...this.view);
    this.draw();
    this.log.scrollTop = this.log.scrollHeight;
    this.input.focus();
  }

  draw() {
    const { state } = this;
    const isAway = AWAY.includes(state);
    const isOver = isAway || state === "ENDED";
    this.line.textContent = this.about();
    this.nameField.hidden = Boolean(state) || this.unsent.length > 0;
    this.textField.hidden = isOver;
    const isAsked = (isAway && !this.hasEmail) || this.wantsTranscript || (!state && this.isOnline === false);
    this.emailField.hidden = !isAsked;
    this.form.hidden = this.isGone || (isOver && !isAsked);
    this.send.textContent = isAway && !this.hasEmail ? this.text("leave_email") : this.text("send");
    this.drawActions(isOver);
    for (const [id, { number, mark }] of this.own) if (number) mark.textContent = this.markOf(id, number);
    this.stayAtEnd();
  }

  /** Who saw the last message still sees it when something grew, or when a keyboard took half of the window. */
  stayAtEnd() {
    this.height = this.log.clientHeight;
    if (this.isAtEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  scrolled() {
    const { log } = this;
    if (log.clientHeight !== this.height) return; // a new size moves it, too
    this.isAtEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 40;
  }

  about() {
    if (this.isGone) return this.text(this.isCrowded ? "error_later" : "error_refused");
    if (this.isLost) return this.text("lost");
    if (this.state === "WAITING") return this.text("waiting");
    if (this.state === "ACTIVE") return this.operator ? this.text("active", { name: this.operator }) : this.text("active_us");
    if (this.state === "ENDED") return this.text(this.isMailed ? "transcript_sent" : "ended");
    if (AWAY.includes(this.state)) return this.text(this.hasEmail ? "kept" : "missed");
    return this.text(this.isOnline === false ? "away" : "hello");
  }

  drawActions(isOver) {
    const plain = (key, onclick) => this.el("button", { className: "plain", type: "button", onclick }, this.text(key));
    const call = this.el("button", { className: "plain", type: "button", onclick: () => this.panel.leaveChat() }, this.panel.text(this.panel.config.is_available ? "call" : "leave"));
    const canMail = this.state === "ENDED" && this.canMail && !this.isMailed && !this.wantsTranscript;
    const key = [this.state, isOver, canMail, this.isGone].join();
    if (key === this.actionsKey) return;
    this.actionsKey = key;
    const parts = this.isGone ? [call] : [OPEN.includes(this.state) && plain("end", () => this.say({ do: "end" })), canMail && plain("transcript", () => this.askTranscript()), isOver && plain("again", () => this.again()), !OPEN.includes(this.state) && call];
    this.actions.replaceChildren(...parts.filter(Boolean));
  }

  askTranscript() {
    this.wantsTranscript = true;
    this.draw();
    this.email.focus();
  }

  again() {
    Object.assign(this, { state: null, operator: "", hasEmail: false, canMail: false, isMailed: false, wantsTranscript: false });
    this.log.replaceChildren();
    this.own.clear();
    this.draw();
    this.input.focus();
  }

  markOf(id, number) {
    return this.text(number <= this.read ? "read" : number <= this.delivered ? "delivered" : "sent");
  }

  /** The visitor's own message, shown before the server has it. */
  add(text, isOwn, name) {
    const mark = this.el("small", {}, isOwn ? "" : name);
    const who = this.el("span", { className: "unseen" }, `${isOwn ? this.text("you") : name}: `);
    const element = this.el("p", { className: isOwn ? "said own" : "said", dir: "auto" }, who, text, mark);
    this.log.append(element);
    this.log.scrollTop = this.log.scrollHeight;
    return { element, mark };
  }

  fail(code) {
    const known = `chat_error_${code}` in this.panel.config.texts ? code : "refused";
    this.error.textContent = code ? this.text(`error_${known}`) : "";
    this.email.ariaInvalid = String(code === "email");
    this.input.ariaInvalid = String(code === "text");
  }

  // -- writing ---------------------------------------------------------------------------------------------------------------

  typed() {
    if (this.state !== "ACTIVE" || Date.now() < (this.typedAt || 0) + TYPING_EVERY_MS) return;
    this.typedAt = Date.now();
    this.say({ do: "typing" });
  }

  pressed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  submit(event) {
    event.preventDefault();
    this.fail();
    const email = this.email.value.trim();
    if (!this.emailField.hidden && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email)) {
      this.fail("email");
      return this.email.focus();
    }
    if (this.wantsTranscript) return this.mailed(email);
    if (AWAY.includes(this.state)) return this.say({ do: "contact", email });
    const text = this.input.value.trim();
    if (!text) return this.fail("text");
    this.queue({ text, name: this.name.value, email: this.emailField.hidden ? "" : email });
  }

  mailed(email) {
    this.say({ do: "transcript", email });
    Object.assign(this, { wantsTranscript: false, isMailed: true });
    this.draw();
  }

  queue({ text, name, email }) {
    const id = Array.from(crypto.getRandomValues(new Uint32Array(4)), (each) => each.toString(36)).join("-");
    this.unsent.push({ id, text, name, email });
    this.own.set(id, this.add(text, true));
    this.input.value = "";
    this.typedAt = 0;
    this.keep();
    this.draw();
    this.pump();
    this.input.focus();
  }

  keep() {
    this.panel.remember({ chat: true, unsent: this.unsent });
  }

  /** The oldest message that the server does not have yet; one at a time, so that their order stays. */
  async pump() {
    const next = this.unsent[0];
    if (!next || this.sending || !this.isGreeted) return;
    this.sending = next.id;
    const { socket, panel } = this;
    let proof = {};
    if (!OPEN.includes(this.state)) {
      proof = await (panel.proof || panel.fresh());
      panel.proof = null; // each works once
    }
    if (socket === this.socket) this.say({ do: "say", ...next, ...proof });
  }

  done(id) {
    this.unsent = this.unsent.filter((each) => each.id !== id);
    this.sending = "";
    this.tries = 0;
    this.keep();
  }

  // -- the socket --------------------------------------------------------------------------------------------------------------

  say(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  async connect() {
    const visitor = await this.panel.visit();
    if (!visitor.ok) return this.later();
    const url = new URL(`${this.panel.widget.key}/chat`, import.meta.url);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => this.say({ do: "hello", visitor: visitor.visitor, chat: this.chat, seen: this.seen });
    socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
    socket.onclose = ({ code }) => ([GONE, CROWDED].includes(code) ? this.gone(code) : this.later());
  }

  later() {
    Object.assign(this, { isGreeted: false, sending: "", isLost: true });
    this.draw();
    setTimeout(() => this.connect(), this.wait * (1 + Math.random()));
    this.wait = Math.min(this.wait * 2, LATE_MS);
  }

  /** There is no chat here any more, and coming back would change nothing. */
  gone(code) {
    this.isGone = true;
    this.isCrowded = code === CROWDED;
    this.draw();
  }

  hear(frame) {
    if (frame.is === "message") this.heard(frame);
    else if (frame.is === "chat") this.stands(frame);
    else if (frame.is === "error") this.refused(frame);
  }

  heard({ chat, number, from, id, name, text }) {
    if (chat !== this.chat) Object.assign(this, { chat, seen: 0, marked: { delivered: 0, read: 0 } });
    if (number <= this.seen) return;
    this.seen = number;
    if (from === "operator") {
      this.operator = name;
      this.typing.textContent = "";
      this.add(text, false, name || this.text("us"));
      return;
    }
    const known = this.own.get(id) || this.add(text, true);
    this.own.set(id, { ...known, number });
    this.done(id);
  }

  stands({ id, state, online, typing, delivered = 0, read = 0, has_email: hasEmail, can_mail: canMail }) {
    const isNew = !this.isGreeted;
    const isPast = !OPEN.includes(state) && id !== 0 && this.chat !== id; // one of before, whose messages were not asked for
    Object.assign(this, { isGreeted: true, isLost: false, isOnline: online, wait: SOON_MS, delivered, read, hasEmail, canMail });
    if (!isPast) Object.assign(this, { state: this.isAgain(state, id) ? null : state, chat: id || this.chat });
    this.showTyping(typing && state === "ACTIVE");
    if (isNew) this.restore();
    this.draw();
    this.mark();
    this.pump();
  }

  /** After "new chat" the old one still stands at the server until the first message. */
  isAgain(state, id) {
    return this.state === null && id === this.chat && !OPEN.includes(state) && !this.log.childElementCount;
  }

  /** What a page before this one could not send. */
  restore() {
    for (const { id, text } of this.unsent) if (!this.own.has(id)) this.own.set(id, this.add(text, true));
  }

  showTyping(isTyping) {
    clearTimeout(this.typingTimer);
    this.typing.textContent = isTyping ? this.text("typing", { name: this.operator || this.text("us") }) : "";
    if (isTyping) this.typingTimer = setTimeout(() => this.showTyping(false), TYPING_SHOWN_MS);
  }

  refused({ code, id }) {
    this.tries = (this.tries || 0) + 1;
    if (code === "challenge" && id && this.tries < MOST_TRIES) {
      this.sending = "";
      return this.pump();
    }
    this.fail(code);
    this.isMailed = false;
    const unsent = this.unsent.find((each) => each.id === id);
    if (!unsent) return this.draw();
    this.own.get(id)?.element.remove();
    this.own.delete(id);
    this.done(id);
    this.input.value ||= unsent.text;
    if (code === "email") this.isOnline = false;
    this.draw();
  }

  /** What came has arrived, and is read when somebody looks. */
  mark() {
    if (!this.seen || !this.isGreeted) return;
    const name = this.panel.dialog.open && !document.hidden ? "read" : "delivered";
    if (this.marked[name] >= this.seen || this.marked.read >= this.seen) return;
    this.marked[name] = this.seen;
    this.say({ do: "mark", [name]: this.seen });
  }
}
