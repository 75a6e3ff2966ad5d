// A request under way: asked for once a second until it ends, and shown in the panel.

const FINAL = ["ENDED", "REFUSED", "FAILED", "OFFLINE"];
const HAPPY = ["connected", "ended", "kept", "kept_at"];
const EVENTS = { CALLING: "calling", CONNECTED: "connected", ENDED: "ended", FAILED: "failed", REFUSED: "failed" };
const ASK_EVERY_MS = 1000;
const LOST_AFTER = 5; // answers missing in a row

export class Request {
  /** `number`: as it is shown. */
  constructor(panel, token, number, preferredAt) {
    const values = { number: number.replaceAll(" ", "\u00a0"), time: preferredAt && panel.moment(preferredAt) };
    Object.assign(this, { panel, token, values, misses: 0, wasRung: false, since: 0, told: "", isDone: false });
  }

  async poll() {
    const { panel } = this;
    if (panel.request !== this) return;
    const found = await panel.ask("GET", `/requests/${this.token}`);
    if (panel.request !== this || this.isDone) return;
    if (found.ok) this.misses = 0;
    else if (found.status === 404) found.state = "FAILED";
    else return this.missed();
    this.advance(found);
  }

  missed() {
    this.misses += 1;
    if (this.misses === LOST_AFTER) this.show("lost", this.panel.text("error_lost"), "");
    this.pollLater();
  }

  pollLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), ASK_EVERY_MS);
  }

  advance({ state, side, reason }) {
    const { panel } = this;
    const phase = this.phaseOf(state, side, reason);
    this.wasRung ||= phase === "calling_visitor";
    this.isDone = FINAL.includes(state);
    if (state === "CONNECTED") this.since ||= Date.now();
    if (phase !== this.phase) this.show(phase, panel.text(phase === "kept_at" ? "kept" : phase), panel.text(`${phase}_text`, this.values));
    if (this.since) this.clock.textContent = this.lasted();
    this.announce(state, side, reason);
    if (this.isDone) panel.remember({ request: undefined, number: undefined, preferredAt: undefined });
    else this.pollLater();
  }

  announce(state, side, reason) {
    const [name, key] = [EVENTS[state], `${state} ${side}`];
    if (name && key !== this.told) this.panel.tell(name, { side: side || null, reason: reason || null });
    this.told = key;
  }

  /** The key of the texts that say where the call is. An agent rung after the visitor: the visitor is on the line. */
  phaseOf(state, side, reason) {
    if (state === "CALLING") return side === "visitor" ? "calling_visitor" : this.wasRung ? "holding" : "calling_agent";
    if (state === "OFFLINE") return this.values.time ? "kept_at" : "kept";
    if (reason === "cancelled") return "cancelled";
    if (state === "FAILED") return ["busy", "no_answer"].includes(reason) ? `${reason}_${side || "agent"}` : "failed";
    return { CONNECTED: "connected", ENDED: "ended", REFUSED: "refused" }[state] || "waiting";
  }

  lasted() {
    const seconds = Math.floor((Date.now() - this.since) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }

  show(phase, title, text) {
    const { panel } = this;
    const { el, widget } = panel;
    const hadFocus = panel.body.contains(widget.root.activeElement);
    const [mood, name] = this.moodOf(phase);
    this.phase = phase;
    panel.input = null;
    panel.heading.textContent = panel.config.title || panel.text("title");
    panel.status.replaceChildren(el("div", { className: `disc ${mood}` }, panel.icon(name)), el("h3", {}, title), el("p", {}, text));
    this.clock = el("p", { className: "time", ariaHidden: "true" });
    panel.body.replaceChildren(this.clock, ...this.actions(phase));
    widget.button?.classList.toggle("busy", !this.isDone);
    if (hadFocus) panel.status.focus();
  }

  moodOf(phase) {
    if (HAPPY.includes(phase)) return ["good", phase === "connected" ? "phone" : "done"];
    if (phase === "cancelled") return ["", "close"];
    return this.isDone ? ["bad", "sorry"] : ["live", "phone"];
  }

  actions(phase) {
    const { panel } = this;
    const main = (key, kind, onclick) => panel.el("button", { className: `main ${kind}`, type: "button", onclick }, panel.text(key));
    if (!this.isDone) return [main(phase === "connected" ? "hang_up" : "cancel", "end", () => this.cancel())];
    if (HAPPY.includes(phase)) return [main("close", "", () => panel.close())];
    const again = main("again", "", () => panel.change(!panel.config.is_available));
    return phase === "refused" ? [again] : [again, panel.plain("later_instead", () => panel.change(true))];
  }

  cancel() {
    this.giveUp();
    this.advance(this.phase === "connected" ? { state: "ENDED" } : { state: "FAILED", reason: "cancelled" });
  }

  /** Said again where it did not come through: nobody is rung who has cancelled. */
  async giveUp() {
    for (let n = 0; n < LOST_AFTER; n++) {
      const { status } = await this.panel.ask("DELETE", `/requests/${this.token}`);
      if (status && status < 500) return;
      await new Promise((later) => setTimeout(later, ASK_EVERY_MS));
    }
  }
}
