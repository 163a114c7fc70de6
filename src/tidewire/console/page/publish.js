/** Publishing by hand: first what each queue would get, then the notice itself. */

import { html, nothing } from "../vendor/lit-html.js";
import * as api from "./api.js";
import { NOTHING, bytes, exact, plural } from "./format.js";
import { badge, because, card, empty, nextStep, queueLink } from "./parts.js";

const LIMIT = 100;
const EXAMPLE = JSON.stringify({ event: { type: "greeting", text: "hello" }, users: [1] }, null, 2);

export class Publish {
  title = "Publish";

  constructor(app) {
    this.app = app;
    this.text = EXAMPLE;
    this.payload = false;
    this.tried = null; // {text, rehearsed}: publishing needs a dry run of the very same text
    this.problem = null;
    this.published = null;
    this.busy = false;
  }

  async beat() {}

  view() {
    const ready = this.tried !== null && this.tried.text === this.text && !this.tried.rehearsed.repeated;
    return html`
      <div class="page-head"><h1>Publish</h1></div>
      <div class="columns halves">
        ${card("Notice", this.#form(ready))} ${card("What it would do", this.#result(), { extra: this.#payloads() })}
      </div>
    `;
  }

  #form(ready) {
    return html`
      <form @submit=${(event) => this.#submit(event, ready)} @keydown=${(event) => this.#key(event)}>
        <label for="notice">One notice, as JSON: an event, and the users it is for</label>
        <textarea
          id="notice" rows="14" spellcheck="false" autocapitalize="off" .value=${this.text} aria-describedby="notice-hint notice-problem"
          aria-invalid=${this.problem ? "true" : "false"} @input=${(event) => this.#type(event.target.value)}
        ></textarea>
        <p class="hint" id="notice-hint">
          Give it an <code>id</code> and publishing it twice does nothing the second time. <kbd>Ctrl</kbd> <kbd>Enter</kbd> tries it.
        </p>
        <p class="error" role="alert" id="notice-problem">${this.problem ? html`${this.problem.message} ${nextStep(this.problem)}` : nothing}</p>
        <div class="buttons">
          <button type="button" class=${ready ? "" : "primary"} ?disabled=${this.busy} @click=${() => this.#try()}>Dry run</button>
          <button type="submit" class=${ready ? "primary" : ""} ?disabled=${this.busy || !ready}>
            ${ready ? `Publish to ${plural(this.tried.rehearsed.counts.queued ?? 0, "queue")}` : "Publish"}
          </button>
        </div>
        <p role="status">
          ${this.published === null ? (ready ? nothing : html`<span class="quiet">A dry run comes first: it delivers nothing.</span>`) : html`<span class="done">${this.published}</span>`}
        </p>
      </form>
    `;
  }

  #payloads() {
    return html`
      <label class="check">
        <input type="checkbox" .checked=${this.payload} @change=${(event) => this.#reveal(event.target.checked)}>
        Show what clients get
      </label>
    `;
  }

  #result() {
    if (this.tried === null) return empty("No dry run yet.", "It goes the way of a real notice up to the last step, and says who would get what.");
    const { rehearsed, text } = this.tried;
    if (rehearsed.repeated) return empty("This notice was taken before.", "Publishing it again does nothing: give it another id.");
    const counts = Object.entries(rehearsed.counts).map(([state, total]) => `${exact(total)} ${state.replaceAll("_", " ")}`);
    return html`
      <p role="status" class=${text === this.text ? "" : "stale"}>
        ${counts.length ? counts.join(", ") : "No queue would see it"}${rehearsed.users_without_queue ? `; ${plural(rehearsed.users_without_queue, "user")} without a queue` : nothing}.
        ${text === this.text ? nothing : html`<span class="quiet">The notice was changed since.</span>`}
      </p>
      <ul class="outcomes">${rehearsed.outcomes.map((outcome) => this.#outcome(outcome))}</ul>
    `;
  }

  #outcome(outcome) {
    const { words } = this.app;
    const why =
      outcome.state === "refused"
        ? because(words, "refusals", outcome.rule)
        : outcome.state === "ended"
          ? because(words, "reasons", outcome.rule)
          : because(words, "outcomes", outcome.state);
    return html`
      <li>
        <div class="outcome-head">${badge(outcome.state)} ${queueLink(outcome.queue_id)}</div>
        <p class="quiet">user ${outcome.user_id}, ${outcome.client || NOTHING}</p>
        <p>
          ${why} ${outcome.event_id === null ? nothing : `As event ${outcome.event_id}, ${bytes(outcome.size)}.`}
          ${outcome.merges_with === null ? nothing : `Merged with event ${outcome.merges_with}.`}
          ${outcome.answers ? "A poll waits for it: it goes out at once." : nothing}
        </p>
        ${outcome.event === null ? nothing : html`<pre tabindex="0">${JSON.stringify(outcome.event, null, 2)}</pre>`}
      </li>
    `;
  }

  #type(text) {
    this.text = text;
    this.problem = null;
    this.published = null;
    this.app.changed();
  }

  #key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.#try();
    }
  }

  #reveal(payload) {
    this.payload = payload;
    if (this.tried !== null && this.tried.text === this.text) this.#try();
  }

  #submit(event, ready) {
    event.preventDefault();
    if (ready) this.#publish();
  }

  async #try() {
    const { text } = this;
    await this.#attempt(async () => {
      this.tried = { text, rehearsed: await api.dryRun(text, { limit: LIMIT, payload: this.payload }) };
      this.published = null;
    });
  }

  async #publish() {
    await this.#attempt(async () => {
      await api.publish(this.text);
      this.published = "Published. Its queues say what becomes of it.";
      this.tried = { ...this.tried, text: null };
    });
  }

  async #attempt(work) {
    if (this.busy) return;
    this.busy = true;
    this.app.changed();
    try {
      await work();
      this.problem = null;
    } catch (error) {
      if (error.kind === "session") throw error;
      this.problem = error;
    } finally {
      this.busy = false;
      this.app.changed();
    }
  }
}
