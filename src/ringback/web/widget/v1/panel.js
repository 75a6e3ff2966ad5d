// The dialog and its form (now, or later). v1.js makes it when a visitor opens the widget; request.js has what comes of a request.

const DAYS = 7;
const [FIRST_HOUR, LAST_HOUR] = [8, 20]; // offered for a later call, in the visitor's time

export class Panel {
  /** `parts`: what v1.js and the modules beside this one bring. */
  constructor(widget, parts) {
    Object.assign(this, parts);
    this.widget = widget;
    this.config = widget.config;
    const { culture } = this.config;
    this.locale = navigator.languages.find((each) => each.startsWith(culture)) || culture; // en-GB writes dates unlike en-US
    this.number = "";
    this.country = this.config.country || this.config.countries[0]?.[0] || "";
    widget.root.append(this.frame());
    this.form(!this.config.is_available);
  }

  text(key, values = {}) {
    return this.config.texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name] || "");
  }

  instant(options, at) {
    return new Intl.DateTimeFormat(this.locale, options).format(at);
  }

  moment(seconds) {
    return this.instant({ weekday: "long", day: "numeric", month: "long", hour: "numeric", minute: "2-digit" }, seconds * 1000);
  }

  frame() {
    const { el } = this;
    const [y, x] = this.config.floating_icon ? this.config.position.split("_") : ["middle", "center"];
    this.heading = el("h2", { id: "title", dir: "auto" });
    this.status = el("div", { className: "status", role: "status", tabIndex: -1 });
    this.body = el("div");
    this.dialog = el("dialog", { "aria-labelledby": "title", "data-x": x, "data-y": y },
      el("div", { className: "head" }, this.heading, el("button", { className: "close", type: "button", "aria-label": this.text("close"), onclick: () => this.close() }, this.icon("close"))),
      this.widget.isTest && el("p", { className: "test" }, this.text("test")), this.status, this.body);
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.addEventListener("click", (event) => this.isOutside(event) && this.close());
    return this.dialog;
  }

  isOutside({ target, clientX: x, clientY: y }) {
    const box = this.dialog.getBoundingClientRect();
    return target === this.dialog && (x < box.left || x > box.right || y < box.top || y > box.bottom);
  }

  // -- opening and closing: a call goes on while the dialog is closed, and is there when it opens again --------------------

  open(from) {
    if (this.dialog.matches(":modal")) return;
    this.close(); // one that a change of the page took out of the top layer
    this.from = from;
    this.isOpen = true;
    this.dialog.showModal();
    (this.input || this.status).focus();
    this.visit();
    this.tell("opened");
    if (this.talk) this.talk.mark();
    else if (this.hasChat() && this.remembered().chat) this.chat();
  }

  /** Whoever waits for this finds it closed and told; the browser's own event, which Escape makes too, comes some time later. */
  close() {
    this.dialog.close();
    this.closed();
  }

  closed() {
    if (!this.isOpen || this.dialog.open) return;
    this.isOpen = false;
    this.from?.focus?.();
    if (this.request?.isDone) this.form(!this.config.is_available);
    this.tell("closed");
  }

  /** Makes the visitor known, once, and has the first challenge solved while the number is typed. */
  visit() {
    const page = location.href.split("#")[0];
    const opened = { session: this.session(), page, referer: document.referrer, ...this.mode() };
    this.visitor ||= this.ask("POST", "/visitors", opened).then((found) => {
      if (found.ok) this.proof = this.solved(found.challenge);
      else this.visitor = null;
      return found;
    });
    return this.visitor;
  }

  mode() {
    return this.widget.isTest ? { test: true } : {};
  }

  session() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const session = this.remembered().session || Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.remember({ session });
    return session;
  }

  // -- the form --------------------------------------------------------------------------------------------------------

  form(isLater) {
    Object.assign(this, { isLater, request: null });
    const { title, is_available: isAvailable } = this.config;
    this.heading.textContent = isLater ? this.text("offline_title") : title || this.text("title");
    this.status.replaceChildren();
    this.body.replaceChildren(this.el("form", { noValidate: true, onsubmit: (event) => this.submit(event) },
      ...this.words(), ...this.numberField(), ...(isLater ? this.laterFields() : []), this.trap(), this.submitButton(),
      isAvailable && this.plain(isLater ? "back" : "later_instead", () => this.change(!isLater)),
      this.hasChat() && this.plain(this.config.has_operator ? "chat" : "chat_offline", () => this.chat()), this.privacy()));
  }

  // -- the chat: a part of its own, loaded when it is wanted ---------------------------------------------------------------

  hasChat() {
    return this.config.has_chat && !this.widget.isTest;
  }

  async chat() {
    try {
      const { Chat } = await import("../chat.v1.js");
      this.talk ||= new Chat(this);
      this.talk.show();
    } catch {
      this.fail("network");
    }
  }

  leaveChat() {
    this.remember({ chat: undefined });
    this.change(!this.config.is_available);
  }

  /** The form anew, with the focus where one goes on. */
  change(isLater, error) {
    this.form(isLater);
    this.fail(error);
    this.input.focus();
  }

  words() {
    const { is_available: isAvailable, opens_at: opensAt, message } = this.config;
    const paragraph = (text) => this.el("p", { className: "message", dir: "auto" }, text);
    if (!this.isLater) return [paragraph(message || this.text("message"))];
    if (isAvailable) return [];
    return [paragraph(this.text("offline_message")), opensAt && paragraph(this.text("opens_at", { time: this.moment(opensAt) }))];
  }

  numberField() {
    const { el } = this;
    this.input = el("input", { id: "number", type: "tel", autocomplete: "tel", value: this.number, required: true, "aria-describedby": "error" });
    this.input.addEventListener("input", (event) => this.typed(event));
    this.error = el("p", { className: "error", id: "error", role: "alert" });
    return [el("label", { htmlFor: "number" }, this.text("number")), el("div", { className: "field" }, this.countryChoice(), this.input), this.error];
  }

  /** The code of the country; where there are several, a list lies over it that one does not see until it opens. */
  countryChoice() {
    const { el } = this;
    this.shown = el("span", {});
    this.choice = el("select", { "aria-label": this.text("country"), onchange: () => this.choose(this.choice.value) });
    const names = new Intl.DisplayNames([this.config.culture], { type: "region" });
    const all = this.config.countries.map(([id, code]) => [id, `${names.of(id)} (+${code})`]);
    all.sort((one, other) => one[1].localeCompare(other[1], this.config.culture));
    this.choice.append(...all.map(([value, text]) => el("option", { value }, text)));
    this.choose(this.country);
    if (all.length < 2) return el("span", { className: "code" }, this.shown);
    this.shown.ariaHidden = "true";
    return el("span", { className: "code" }, this.shown, el("i"), this.choice);
  }

  choose(country) {
    this.country = this.choice.value = country;
    this.shown.replaceChildren(this.el("b", {}, country), ` +${this.dialled()}`);
  }

  dialled() {
    return this.config.countries.find((each) => each[0] === this.country)?.[1] || "";
  }

  typed(event) {
    const { format, isInternational, countryOf } = this.numbers;
    format(this.input, this.dialled(), event);
    this.number = this.input.value;
    this.fail();
    const country = isInternational(this.number) && countryOf(this.number, this.config.countries, this.country);
    if (country) this.choose(country);
  }

  /** With what stood there before, when a request was refused. */
  laterFields() {
    const { el, name, day, hour } = this;
    const field = (id, element) => el("div", {}, el("label", { htmlFor: id }, this.text(id)), element);
    this.name = el("input", { id: "name", className: "box", autocomplete: "name", maxLength: 100, value: name?.value || "" });
    this.day = el("select", { id: "day", className: "box", onchange: () => this.dayChosen() }, ...this.choices());
    this.hour = el("select", { id: "time", className: "box" });
    this.when = el("div", {}, field("day", this.day), field("time", this.hour));
    if (day?.value) this.day.value = day.value;
    this.dayChosen();
    if (hour?.value) this.hour.value = hour.value;
    if (!this.hour.value) this.dayChosen(); // that time has passed
    return [field("name", this.name), this.when];
  }

  /** While somebody can take a call, as soon as possible would be now, and is not offered for later. */
  choices() {
    const days = this.days();
    const isSoon = !this.config.is_available || !days.length;
    return [...(isSoon ? [this.el("option", { value: "" }, this.text("soon"))] : []), ...days];
  }

  days() {
    const now = new Date();
    const days = Array.from({ length: DAYS }, (_, n) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + n));
    const text = (day) => this.instant({ weekday: "short", day: "numeric", month: "short" }, day);
    return days.filter((day) => this.times(day).length).map((day) => this.el("option", { value: +day }, text(day)));
  }

  /** Each half hour of the day that is still to come and in which it is open, in milliseconds. */
  times(day) {
    const halves = Array.from({ length: (LAST_HOUR - FIRST_HOUR) * 2 + 1 }, (_, n) => new Date(day).setHours(FIRST_HOUR, n * 30));
    const { open } = this.config;
    const isOpen = (at) => !open || open.some(([from, to]) => from <= at / 1000 && at / 1000 < to);
    return halves.filter((at) => at > Date.now() && isOpen(at));
  }

  dayChosen() {
    const day = +this.day.value;
    this.when.className = day ? "pair" : "";
    this.when.lastChild.hidden = !day;
    const option = (at) => this.el("option", { value: at / 1000 }, this.instant({ timeStyle: "short" }, at));
    this.hour.replaceChildren(...(day ? this.times(new Date(day)).map(option) : []));
  }

  /** A field that people do not see and programs fill in. */
  trap() {
    this.website = this.el("input", { name: "website", tabIndex: -1, autocomplete: "off" });
    return this.el("div", { className: "unseen", "aria-hidden": "true" }, this.website);
  }

  submitButton() {
    const text = this.el("span", {}, this.text(this.isLater ? "leave" : "call"));
    this.button = this.el("button", { className: "main", type: "submit" }, this.icon(this.isLater ? "clock" : "phone"), text);
    return this.button;
  }

  plain(key, onclick) {
    return this.el("button", { className: "plain", type: "button", onclick }, this.text(key));
  }

  privacy() {
    const href = this.config.privacy_url || "";
    if (!/^https?:/i.test(href)) return null;
    const note = this.el("span", { className: "unseen" }, ` (${this.text("new_window")})`);
    return this.el("p", { className: "foot" }, this.el("a", { href, target: "_blank", rel: "noopener noreferrer" }, this.text("privacy"), note));
  }

  fail(code) {
    this.error.textContent = code ? this.text(`error_${code}`) : "";
    this.input.ariaInvalid = String(["empty", "number", "country"].includes(code));
  }

  async submit(event) {
    event.preventDefault();
    if (this.button.ariaDisabled) return;
    const fault = this.numbers.faultOf(this.input.value, this.config.countries, this.country);
    this.fail(fault);
    if (fault) return this.input.focus();
    this.button.ariaDisabled = "true";
    this.button.lastChild.textContent = this.text("sending");
    const wanted = this.wanted();
    const answer = await this.send(wanted);
    if (answer.ok) this.accepted(answer, wanted);
    else this.refused(answer);
  }

  wanted() {
    const wanted = { number: this.input.value, country: this.country, website: this.website.value, ...this.mode() };
    if (this.isLater && this.name.value) wanted.name = this.name.value;
    if (this.isLater && this.day.value) wanted.preferred_at = +this.hour.value;
    return wanted;
  }

  /** Sends a request with a solved challenge; with a fresh one when the first has become too old. */
  async send(wanted) {
    const visitor = await this.visit();
    if (!visitor.ok) return visitor;
    const once = async () => {
      const proof = await (this.proof || this.fresh());
      this.proof = null; // each works once
      return this.ask("POST", "/requests", { visitor: visitor.visitor, ...wanted, ...proof });
    };
    const answer = await once();
    return answer.error === "challenge" ? once() : answer;
  }

  async fresh() {
    const challenge = await this.ask("GET", "/challenge");
    return challenge.ok ? this.solved(challenge) : {};
  }

  refused({ error, status }) {
    const code = `error_${error}` in this.config.texts ? error : status ? "refused" : "network";
    if (!["number", "country"].includes(code)) this.tell("failed", { reason: code });
    if (code === "unavailable") this.config.is_available = false; // nobody is there after all
    this.change(this.isLater || code === "unavailable", code);
  }

  // -- a request under way: `this.request`, until there is another one or the form ---------------------------------------

  accepted(answer, { preferred_at: preferred }) {
    const preferredAt = preferred && (answer.at || preferred); // it may be moved to when it is open
    const number = this.numbers.grouped(this.number, this.dialled());
    this.remember({ request: answer.request, number: `… ${number.slice(-3)}`, preferredAt });
    this.follow(answer.request, number, preferredAt);
    this.tell("requested", { state: answer.state });
    this.request.advance(answer);
    this.status.focus();
  }

  /** A call that another page of this tab began; of its number the last digits are known. */
  resume(token) {
    const { number, preferredAt } = this.remembered();
    this.follow(token, number, preferredAt).advance({ state: "REQUESTED" });
  }

  follow(token, number, preferredAt) {
    this.request = new this.Request(this, token, number, preferredAt);
    return this.request;
  }
}
