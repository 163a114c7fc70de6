/** All queues: searched, filtered, sorted and cut into pages by the server. */

import { html, nothing } from "../vendor/lit-html.js";
import * as api from "./api.js";
import { NOTHING, bytes, count, duration, exact } from "./format.js";
import { badge, empty, failed, loading, queueLink, stateOf } from "./parts.js";

const LIMIT = 50;
const MOST = 1000; // what the server lets be paged through
const EVERY = 2000;
const SPARED = 20; // and so many times as long as the last answer took: very many queues are looked at more rarely
const TYPING = 250;

const COLUMNS = [
  { title: "Queue", sort: "queue_id", ascending: true },
  { title: "User", sort: "user_id", ascending: true, number: true },
  { title: "Client" },
  { title: "Events", sort: "events", number: true },
  { title: "Size", sort: "size", number: true },
  { title: "Oldest", sort: "oldest", number: true },
  { title: "Seen", sort: "last_active", number: true },
  { title: "State" },
];

const FILTERS = {
  all: {},
  waiting: { waiting: true },
  away: { waiting: false, offline: false },
  offline: { offline: true },
};

export class Queues {
  title = "Queues";

  constructor(app) {
    this.app = app;
    this.search = "";
    this.filter = "all";
    this.sort = "oldest";
    this.ascending = false;
    this.skip = 0;
    this.answer = null;
    this.problem = null;
    this.asked = 0;
    this.askedAt = 0;
    this.took = 0;
    this.typing = 0;
  }

  /** Called after each pulse. Who points at a row or stands on one should not have it move away. */
  async beat() {
    const table = document.querySelector(".queues");
    const still = table?.matches(":focus-within") || (matchMedia("(hover: hover)").matches && table?.matches(":hover"));
    if (this.answer !== null && (still || Date.now() - this.askedAt < Math.max(EVERY, SPARED * this.took))) return;
    await this.load();
  }

  async load() {
    const number = ++this.asked;
    this.askedAt = Date.now();
    const { search, sort, ascending, skip } = this;
    try {
      const answer = await api.queues({ search, sort, ascending, skip, limit: LIMIT, ...FILTERS[this.filter] });
      this.took = Date.now() - this.askedAt;
      if (number !== this.asked) return;
      this.answer = answer;
      this.problem = null;
    } catch (error) {
      if (error.kind !== "refused") throw error;
      this.problem = error;
    }
    this.app.changed();
  }

  focusSearch() {
    document.querySelector("#search")?.select();
  }

  view() {
    return html`
      <div class="page-head">
        <h1>Queues</h1>
        <p class="quiet" role="status">${this.#found()}</p>
      </div>
      <form class="filters" role="search" @submit=${(event) => event.preventDefault()}>
        <label class="grow">
          <span class="visually-hidden">Search queues</span>
          <input
            id="search" type="search" placeholder="Queue id, client, or a user's whole id" .value=${this.search}
            autocomplete="off" spellcheck="false" @input=${(event) => this.#type(event.target.value)}
          >
        </label>
        <label>
          <span class="visually-hidden">State</span>
          <select @change=${(event) => this.#set({ filter: event.target.value })}>
            ${Object.keys(FILTERS).map((name) => html`<option value=${name} ?selected=${name === this.filter}>${name === "all" ? "any state" : name}</option>`)}
          </select>
        </label>
        <label class="narrow-only">
          <span class="visually-hidden">Sort by</span>
          <select @change=${(event) => this.#order(event.target.value)}>
            ${COLUMNS.filter((column) => column.sort).map(
              (column) => html`<option value=${column.sort} ?selected=${column.sort === this.sort}>by ${column.title.toLowerCase()}</option>`,
            )}
          </select>
        </label>
      </form>
      ${this.#body()}
    `;
  }

  #found() {
    if (this.answer === null) return nothing;
    const { found, queues } = this.answer;
    if (found === 0) return "none";
    return html`${exact(this.skip + 1)}–${exact(this.skip + queues.length)} of ${exact(found)}`;
  }

  #body() {
    if (this.problem) return failed(this.problem, () => this.load());
    if (this.answer === null) return loading();
    if (this.answer.queues.length === 0) {
      return this.search || this.filter !== "all"
        ? empty("No queue fits.", html`<button type="button" @click=${() => this.#set({ search: "", filter: "all" })}>Show all queues</button>`)
        : empty("There is no queue yet.", "One is made when a client registers, for instance with tidewire tail.");
    }
    return html`
      <div class="card flush">
        <table role="table" class="rows queues">
          <caption class="visually-hidden">Queues</caption>
          <thead role="rowgroup"><tr role="row">${COLUMNS.map((column) => this.#head(column))}</tr></thead>
          <tbody role="rowgroup">${this.answer.queues.map((row) => this.#row(row))}</tbody>
        </table>
      </div>
      ${this.#pager()}
    `;
  }

  #head(column) {
    if (!column.sort) return html`<th role="columnheader">${column.title}</th>`;
    const sorted = column.sort === this.sort;
    const direction = sorted ? (this.ascending ? "ascending" : "descending") : "none";
    return html`
      <th role="columnheader" aria-sort=${direction} class=${column.number ? "number" : ""}>
        <button type="button" class="sort" @click=${() => this.#order(column.sort)}>${column.title}<span aria-hidden="true"></span></button>
      </th>
    `;
  }

  #row(row) {
    const { now } = this.answer;
    return html`
      <tr role="row">
        <td role="cell" data-label="Queue">${queueLink(row.queue_id)}</td>
        <td role="cell" data-label="User" class="number">${row.user_id}</td>
        <td role="cell" data-label="Client" class="clip" title=${row.client}>${row.client || NOTHING}</td>
        <td role="cell" data-label="Events" class="number">${count(row.events)}</td>
        <td role="cell" data-label="Size" class="number">${bytes(row.size)}</td>
        <td role="cell" data-label="Oldest" class="number">${row.oldest === null ? NOTHING : duration(now - row.oldest)}</td>
        <td role="cell" data-label="Seen" class="number">${duration(now - row.last_active)}</td>
        <td role="cell" data-label="State">${badge(stateOf(row))}</td>
      </tr>
    `;
  }

  #pager() {
    const { found } = this.answer;
    if (found <= LIMIT) return nothing;
    const next = this.skip + LIMIT;
    const last = next + LIMIT > MOST && next < found;
    return html`
      <nav class="pager" aria-label="Pages of queues">
        <button type="button" ?disabled=${this.skip === 0} @click=${() => this.#turn(-LIMIT)}>Previous</button>
        <button type="button" ?disabled=${next >= found || last} @click=${() => this.#turn(LIMIT)}>Next</button>
        ${last ? html`<p class="quiet">These are the first ${exact(MOST)}. Search, or sort by another column, to see others.</p>` : nothing}
      </nav>
    `;
  }

  #order(sort) {
    const column = COLUMNS.find((one) => one.sort === sort);
    const ascending = sort === this.sort ? !this.ascending : Boolean(column.ascending);
    this.#set({ sort, ascending });
  }

  #turn(by) {
    this.skip = Math.max(0, this.skip + by);
    this.app.attempt(() => this.load());
    document.querySelector("#main")?.scrollIntoView();
  }

  #type(text) {
    this.search = text.trim();
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.#set({}), TYPING);
  }

  #set(changes) {
    Object.assign(this, changes, { skip: 0 });
    this.app.attempt(() => this.load());
    this.app.changed();
  }
}
