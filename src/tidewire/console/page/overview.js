/** The first page: what there is, what happens a second, and which queues lag behind. */

import { html, nothing } from "../vendor/lit-html.js";
import * as api from "./api.js";
import "./chart.js";
import { bytes, count, duration, exact, milliseconds, plural, rate } from "./format.js";
import { badge, because, card, empty, queueLink, stateOf } from "./parts.js";

const SLOWEST = 5;
const ROWS = 6;
const EVERY = 3000;
const SPARED = 20; // and so many times as long as the last answer took: very many queues are looked at more rarely

const EVENTS = [
  { name: "delivered", title: "events queued", tone: "accent", fill: true },
  { name: "notices", title: "notices", tone: "good" },
  { name: "refused", title: "refused", tone: "warn", dash: true },
];
const CLIENTS = [
  { name: "waiting", title: "clients waiting", tone: "good", fill: true },
  { name: "answered", title: "polls answered a second", tone: "accent" },
];
const MEMORY = [
  { name: "memory", title: "used", tone: "accent", fill: true },
  { name: "budget", title: "budget", tone: "bad", dash: true, aside: true },
];
const LATENCY = [
  { name: "handled", title: "a notice", tone: "accent" },
  { name: "written", title: "journal write", tone: "good" },
  { name: "flushed", title: "flush to disk", tone: "bad" },
  { name: "turn", title: "loop turn", tone: "warn", dash: true },
  { name: "trip", title: "this page", tone: "muted", dash: true, aside: true },
];

/** Between the lines of an axis. */
const DECIMAL = [-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
const WHOLE = DECIMAL.filter((step) => step >= 1);
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power);

export class Overview {
  title = "Overview";

  constructor(app) {
    this.app = app;
    this.slowest = null;
    this.now = 0;
    this.askedAt = 0;
    this.took = 0;
  }

  /** Called after each pulse. */
  async beat() {
    if (Date.now() - this.askedAt < Math.max(EVERY, SPARED * this.took)) return;
    this.askedAt = Date.now();
    const answer = await api.queues({ sort: "oldest", limit: SLOWEST });
    this.took = Date.now() - this.askedAt;
    this.slowest = answer.queues.filter((row) => row.oldest !== null);
    this.now = answer.now;
    this.app.changed();
  }

  view() {
    const { pulse } = this.app.live;
    if (pulse === null) return html`<p class="loading" aria-busy="true">Waiting for the first pulse …</p>`;
    return html`
      <h1 class="visually-hidden">Overview</h1>
      ${this.#tiles(pulse)} ${this.#charts()}
      <div class="columns">
        ${card("Queues that lag behind", this.#lagging(), {
          className: "full",
          extra: html`<a href="#/queues">All queues</a>`,
        })}
        ${card("Refused, by rule", this.#counts(pulse.refused, "Nothing was refused since the server began.", "refusals"))}
        ${card("Notices, by type", this.#counts(pulse.notices, "Nothing was published since the server began."))}
        ${card("Queues that ended", this.#counts(pulse.removed, "None has ended since the server began.", "reasons"))}
      </div>
    `;
  }

  #tiles(pulse) {
    const share = pulse.memory_budget ? pulse.memory_used / pulse.memory_budget : 0;
    return html`
      <dl class="tiles">
        ${tile("Queues", count(pulse.queues), `of ${plural(pulse.users, "user")}`)}
        ${tile("Clients waiting", count(pulse.waiting), `${plural(pulse.offline, "queue")} offline`)}
        ${tile("Events held", count(pulse.events), `${bytes(pulse.bytes)} to send`)}
        ${tile("Queued a second", rate(this.app.live.rates.delivered), `${exact(pulse.totals.delivered)} in all`)}
        ${tile(
          "Memory",
          bytes(pulse.memory_used),
          pulse.memory_budget
            ? html`<meter min="0" max="1" high="0.8" .value=${share} aria-label="Share of the memory budget"></meter>
                ${Math.round(share * 100)}% of ${bytes(pulse.memory_budget)}`
            : "no budget",
        )}
        ${tile("Outbox", count(pulse.outbox), "notifications for workers")}
      </dl>
    `;
  }

  #charts() {
    const { series } = this.app.live;
    const chart = (title, lines, format, least, steps) => html`
      <section class="card chart">
        <h2>${title}</h2>
        <tw-chart .label=${title} .lines=${lines} .format=${format} .least=${least} .steps=${steps} .series=${series} .data=${{ series }}></tw-chart>
      </section>
    `;
    return html`
      <div class="charts">
        ${chart("Events a second", EVENTS, rate, 1, WHOLE)} ${chart("Clients", CLIENTS, rate, 1, WHOLE)}
        ${chart("Memory", MEMORY, bytes, 1024, BINARY)} ${chart("Latency", LATENCY, milliseconds, 0.0001, DECIMAL)}
      </div>
    `;
  }

  #lagging() {
    if (this.slowest === null) return html`<p class="loading" aria-busy="true">Loading …</p>`;
    if (this.slowest.length === 0) return empty("No queue holds an event.", "Every client has read what it was sent.");
    return html`
      <table role="table" class="rows">
        <thead role="rowgroup">
          <tr role="row"><th role="columnheader">Queue</th><th role="columnheader" class="number">User</th><th role="columnheader" class="number">Events</th><th role="columnheader" class="number">Oldest</th><th role="columnheader">State</th></tr>
        </thead>
        <tbody role="rowgroup">
          ${this.slowest.map(
            (row) => html`
              <tr role="row">
                <td role="cell" data-label="Queue">${queueLink(row.queue_id)}</td>
                <td role="cell" data-label="User" class="number">${row.user_id}</td>
                <td role="cell" data-label="Events" class="number">${count(row.events)}</td>
                <td role="cell" data-label="Oldest" class="number">${duration(this.now - row.oldest)}</td>
                <td role="cell" data-label="State">${badge(stateOf(row))}</td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    `;
  }

  #counts(counts, nothingYet, kind) {
    const found = Object.entries(counts).sort(([, a], [, b]) => b - a);
    if (found.length === 0) return html`<p class="quiet">${nothingYet}</p>`;
    const most = found[0][1];
    return html`
      <ul class="counts">
        ${found.slice(0, ROWS).map(
          ([name, total]) => html`
            <li>
              <code>${name}</code><span class="number">${exact(total)}</span>
              <progress max=${most} .value=${total} aria-hidden="true"></progress>
              ${kind ? html`<small>${because(this.app.words, kind, name)}</small>` : nothing}
            </li>
          `,
        )}
      </ul>
      ${found.length > ROWS ? html`<p class="quiet">and ${plural(found.length - ROWS, "other")}</p>` : nothing}
    `;
  }
}

const tile = (title, value, more) => html`<div class="tile"><dt>${title}</dt><dd>${value}</dd><dd class="more">${more}</dd></div>`;
