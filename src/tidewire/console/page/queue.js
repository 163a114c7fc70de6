/** One queue: what its client asked for, what it holds, and what became of each event and why. */

import { html, nothing } from "../vendor/lit-html.js";
import * as api from "./api.js";
import { NOTHING, bytes, duration, exact, plural } from "./format.js";
import { badge, because, card, empty, eventBadge, failed, loading, stateOf, time } from "./parts.js";

const LIMIT = 100;
const STEPS = 25; // of the timeline, until more are asked for

const SHOWN = {
  everything: () => true,
  events: (step) => step.event_id !== null,
  refused: (step) => step.what === "refused",
};

/** Sentences for what an explanation says beside what steps say. */
const STORIES = {
  acknowledged: "The client acknowledged it.",
  merged: "It was merged with others.",
  dropped: "The queue ended before its client acknowledged it.",
  refused: "The queue does not accept it.",
  failed: "Delivering it failed; the server's log says how.",
  not_addressed: "The notice was not for this queue's user.",
  other_realm: "The notice was for another realm.",
  too_early: "The notice came before the queue was there.",
  too_late: "The notice came after the queue had ended.",
  not_yet: "The queue has given out no such id yet.",
  unknown: "Nothing is known of that, or no longer.",
};

export class Queue {
  constructor(app, id) {
    this.app = app;
    this.id = id;
    this.title = "Queue";
    this.queue = null;
    this.now = 0;
    this.problem = null;
    this.payload = false;
    this.shown = "everything";
    this.whole = false;
    this.asked = "";
    this.stories = null;
  }

  /** Called after each pulse. */
  async beat() {
    try {
      const answer = await api.queue(this.id, { limit: LIMIT, payload: this.payload });
      this.queue = answer.queue;
      this.now = answer.now;
      this.problem = null;
    } catch (error) {
      if (error.kind !== "refused") throw error;
      this.problem = error;
    }
    this.app.changed();
  }

  view() {
    return html`
      <div class="page-head">
        <p class="crumb"><a href="#/queues">Queues</a></p>
        <h1 class="id">${this.id}</h1>
        ${this.queue ? this.#state() : nothing}
      </div>
      ${this.#body()}
    `;
  }

  #state() {
    const { row, ended } = this.queue;
    return row ? badge(stateOf(row)) : badge("ended", `ended: ${ended}`);
  }

  #body() {
    if (this.problem?.status === 404 && this.queue === null) {
      return empty(this.problem.message, html`It may have ended long ago. <a href="#/queues">Look at the queues that there are</a>`);
    }
    if (this.queue === null) return this.problem ? failed(this.problem) : loading();
    return html`
      ${this.queue.row ? nothing : this.#end()}
      <div class="columns">
        ${card("Registration", this.#registration())}
        ${card(html`Holds <span class="quiet">${this.#holds()}</span>`, this.#contents(), { className: "wide", extra: this.#payloads() })}
        ${card("What happened", this.#timeline(), { className: "full", extra: this.#filter() })}
        ${card("What became of …", this.#explanation(), { className: "full" })}
      </div>
    `;
  }

  #end() {
    const { ended, ended_at: at } = this.queue;
    return html`
      <p class="banner warn" role="status">
        This queue ended ${duration(this.now - at)} ago. ${because(this.app.words, "reasons", ended)} Its client has to register anew.
      </p>
    `;
  }

  // What its client registered with; of a queue that ended nobody knows it.
  #asked() {
    const { queue } = this;
    const narrow = queue.narrow.map((term) => term.join(":")).join(" ");
    return html`
      ${fact("Seen", `${duration(this.now - queue.row.last_active)} ago`)}
      ${fact("Event types", queue.event_types === null ? "all" : chips(queue.event_types))}
      ${fact("Narrow", narrow ? html`<code>${narrow}</code>` : "none")}
      ${fact("Public channels", queue.all_public_streams ? "all of them" : "what names its owner")}
      ${fact("Capabilities", queue.capabilities.length ? chips(queue.capabilities) : "none")}
      ${queue.client_class ? fact("Shaped for", html`bridge <code>${queue.client_class}</code>`) : nothing}
      ${fact("Idle timeout", duration(queue.idle_timeout))}
    `;
  }

  #registration() {
    const { queue } = this;
    return html`
      <dl class="facts">
        ${fact("Owner", `user ${queue.user_id} of realm ${queue.realm_id}`)} ${fact("Client", queue.client || NOTHING)}
        ${queue.row ? this.#asked() : nothing}
        ${fact("Next event id", exact(queue.next_event_id))}
        ${fact("Acknowledged", queue.newest_pruned_id === null || queue.newest_pruned_id < 0 ? "nothing yet" : `up to event ${exact(queue.newest_pruned_id)}`)}
      </dl>
    `;
  }

  #holds() {
    const { row } = this.queue;
    return row ? `${plural(row.events, "event")}, ${bytes(row.size)}` : "nothing";
  }

  #payloads() {
    return html`
      <label class="check">
        <input type="checkbox" .checked=${this.payload} @change=${(event) => this.#reveal(event.target.checked)}>
        Show what events say
      </label>
    `;
  }

  #reveal(payload) {
    this.payload = payload;
    this.app.attempt(() => this.beat());
  }

  #contents() {
    const { contents, row } = this.queue;
    if (contents.length === 0) return empty("It holds nothing.", "The client has acknowledged all that it was sent.");
    return html`
      <ol class="events" tabindex="0" aria-label="Events that the queue holds, oldest first">
        ${contents.map(
          (held) => html`
            <li>
              <span class="number">${held.id}</span><code class="clip">${held.type}</code>
              <span class="quiet number">${bytes(held.size)}</span>${eventBadge(held.state)}
              ${held.event === null ? nothing : html`<pre tabindex="0" aria-label="Event ${held.id}">${pretty(held.event)}</pre>`}
            </li>
          `,
        )}
      </ol>
      ${row.events > contents.length ? html`<p class="quiet">and ${exact(row.events - contents.length)} more</p>` : nothing}
    `;
  }

  #filter() {
    return html`
      <label>
        <span class="visually-hidden">Show of the timeline</span>
        <select @change=${(event) => this.#show(event.target.value)}>
          ${Object.keys(SHOWN).map((name) => html`<option value=${name} ?selected=${name === this.shown}>${name}</option>`)}
        </select>
      </label>
    `;
  }

  #show(shown) {
    this.shown = shown;
    this.app.changed();
  }

  #showAll() {
    this.whole = true;
    this.app.changed();
  }

  #timeline() {
    const steps = this.queue.timeline.filter(SHOWN[this.shown]).reverse();
    if (steps.length === 0) return empty("Nothing is recorded.", "Of each queue the last steps are kept, as far as explain.queue_bytes goes.");
    const states = new Map(this.queue.contents.map((held) => [held.id, held.state]));
    const shown = this.whole ? steps : steps.slice(0, STEPS);
    return html`
      <ol class="timeline" aria-label="Timeline, newest first">${shown.map((step) => this.#step(step, states))}</ol>
      ${shown.length < steps.length
        ? html`<button type="button" class="more-steps" @click=${() => this.#showAll()}>Show ${exact(steps.length - shown.length)} older</button>`
        : nothing}
    `;
  }

  #step(step, states) {
    const state = step.what === "held" ? (states.get(step.event_id) ?? (step.sent_at === null ? "waiting" : "sent")) : step.what;
    return html`
      <li>
        <span class="when">${step.at === null ? (step.done_at === null ? NOTHING : time(step.done_at)) : time(step.at)}</span>
        <span class="what">${eventBadge(state)}</span>
        <span class="which">
          ${step.type ? html`<code>${step.type}</code>` : nothing}
          ${step.event_id === null ? nothing : html`<span class="quiet">event ${step.event_id}</span>`}
        </span>
        <span class="why">${this.#why(step, state)}</span>
      </li>
    `;
  }

  #why(step, state) {
    const { words } = this.app;
    const said =
      step.what === "refused"
        ? because(words, "refusals", step.rule)
        : step.what === "held"
          ? because(words, "states", state)
          : because(words, "steps", step.what);
    const into = step.into === null ? nothing : step.into === step.event_id ? " It stands for others too." : html` Into event ${step.into}.`;
    const sent = step.sent_at === null ? nothing : html` <span class="quiet">Last sent ${time(step.sent_at)}</span>`;
    const done =
      step.done_at === null || step.at === null ? nothing : html` <span class="quiet">done ${time(step.done_at)}, after ${duration(step.done_at - step.at)}</span>`;
    return html`${said}${into}${sent}${done}`;
  }

  #explanation() {
    return html`
      <form class="filters" @submit=${(event) => this.#explain(event)}>
        <label class="grow">
          <span class="visually-hidden">Event id, or the id of a notice</span>
          <input name="asked" placeholder="An event's id here, or the id of a notice" autocomplete="off" spellcheck="false" required>
        </label>
        <button type="submit">Explain</button>
      </form>
      <div role="status">${this.stories === null ? nothing : this.stories.map((story) => this.#story(story))}</div>
    `;
  }

  #story(story) {
    if (story instanceof Error) return html`<p class="error">${story.message}</p>`;
    const { words } = this.app;
    const said = words?.states[story.state] ? because(words, "states", story.state) : STORIES[story.state];
    return html`
      <p class="story">
        ${eventBadge(story.state)} ${story.type ? html`<code>${story.type}</code>` : nothing} ${said}
        ${story.rule ? because(words, "refusals", story.rule) : nothing}
        ${story.merged_into === null ? nothing : `It went into event ${story.merged_into}. `}
        ${story.merged.length ? `It stands for ${story.merged.join(", ")} too. ` : nothing}
        <span class="quiet">
          ${story.at === null ? nothing : html`came ${time(story.at)}`}
          ${story.sent_at === null ? nothing : html`· last sent ${time(story.sent_at)}`}
          ${story.acknowledged_at === null ? nothing : html`· acknowledged ${time(story.acknowledged_at)}`}
        </span>
      </p>
    `;
  }

  async #explain(event) {
    event.preventDefault();
    const asked = event.target.elements.asked.value.trim();
    const which = /^\d+$/.test(asked) ? { event_id: asked } : { notice_id: asked };
    try {
      this.stories = (await api.explain({ queue_id: this.id, ...which })).stories;
    } catch (error) {
      this.stories = [error];
    }
    this.app.changed();
  }
}

const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

const chips = (names) => html`<span class="chips">${names.map((name) => html`<code>${name}</code>`)}</span>`;

const pretty = (event) => JSON.stringify(event, null, 2);
