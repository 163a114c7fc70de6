/** The shards, and how each is. */

import { html, nothing } from "../vendor/lit-html.js";
import * as api from "./api.js";
import { count } from "./format.js";
import { badge, empty, failed, loading } from "./parts.js";

const EVERY = 3000;

export class Shards {
  title = "Shards";

  constructor(app) {
    this.app = app;
    this.answer = null;
    this.problem = null;
    this.askedAt = 0;
  }

  async beat() {
    if (Date.now() - this.askedAt < EVERY) return;
    this.askedAt = Date.now();
    try {
      this.answer = await api.shards();
      this.problem = null;
    } catch (error) {
      if (error.kind !== "refused") throw error;
      this.problem = error;
    }
    this.app.changed();
  }

  view() {
    return html`
      <div class="page-head"><h1>Shards</h1></div>
      ${this.#body()}
    `;
  }

  #body() {
    if (this.problem) return failed(this.problem);
    if (this.answer === null) return loading();
    const { shards, index } = this.answer;
    if (shards.length === 0) return empty("The map names no shard.", "See shards.map_file.");
    return html`
      <ul class="shards">${shards.map((shard) => this.#shard(shard, shard.index === index))}</ul>
      ${shards.length === 1 ? html`<p class="quiet">It is the only one. With a map of shards the others stand here too.</p>` : nothing}
    `;
  }

  #shard(shard, own) {
    const wrong = shard.degraded ?? [];
    return html`
      <li class="card ${own ? "own" : ""}">
        <header class="card-head">
          <h2>Shard ${shard.index}</h2>
          ${shard.healthy ? (wrong.length ? badge("offline", "degraded") : badge("healthy")) : badge("failed", "not healthy")}
        </header>
        <p>${own ? "You are viewing this shard." : link(shard.url)}</p>
        <dl class="facts">
          <div><dt>Address</dt><dd><code>${shard.url}</code></dd></div>
          ${shard.serves ? html`<div><dt>Serves</dt><dd>${shard.serves}</dd></div>` : nothing}
          ${shard.queues === undefined || shard.queues === null ? nothing : html`<div><dt>Queues</dt><dd>${count(shard.queues)}</dd></div>`}
          ${wrong.length ? html`<div><dt>Wrong</dt><dd>${wrong.join(", ")}</dd></div>` : nothing}
          ${shard.problem ? html`<div><dt>Problem</dt><dd>${shard.problem}</dd></div>` : nothing}
        </dl>
      </li>
    `;
  }
}

/** To the other shard's own console; only where the map has an address that a browser can open. */
const link = (url) => (/^https?:\/\//.test(url) ? html`<a href="${url.replace(/\/+$/, "")}/console">Open its console</a>` : nothing);
