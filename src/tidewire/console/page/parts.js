/** What several pages are made of: badges, rules, empty and failed states. */

import { html, nothing } from "../vendor/lit-html.js";
import { clock, moment } from "./format.js";

const TONES = {
  waiting: "good",
  acknowledged: "good",
  queued: "good",
  healthy: "good",
  sent: "accent",
  held: "accent",
  mergeable: "accent",
  merged: "accent",
  offline: "warn",
  refused: "warn",
  other_realm: "warn",
  dropped: "bad",
  ended: "bad",
  failed: "bad",
};

export const badge = (name, title = name.replaceAll("_", " ")) =>
  html`<span class="badge tone-${TONES[name] ?? "muted"}">${title}</span>`;

/** Of an event: that it waits is nothing good, unlike a poll that waits. */
export const eventBadge = (name) => (name === "waiting" ? html`<span class="badge tone-muted">waiting</span>` : badge(name));

export const stateOf = (row) => (row.waiting ? "waiting" : row.offline ? "offline" : "away");

export const time = (seconds) =>
  seconds === null || Number.isNaN(new Date(seconds * 1000).getTime())
    ? nothing
    : html`<time datetime=${new Date(seconds * 1000).toISOString()} title=${moment(seconds)}>${clock(seconds)}</time>`;

/** A sentence and the number of the rule that says so. */
export function because(words, kind, name) {
  const meant = words?.[kind]?.[name];
  if (!meant) return name ? html`<code>${name}</code>` : nothing;
  return html`${meant.sentence}${meant.rule ? html` <span class="rule" title="rule ${name}">${meant.rule}</span>` : nothing}`;
}

export const queueLink = (id) => html`<a class="id" href="#/queue/${encodeURIComponent(id)}" title=${id}>${id}</a>`;

export const empty = (title, hint) => html`<div class="empty"><p class="empty-title">${title}</p><p>${hint}</p></div>`;

export const failed = (problem, retry) => html`
  <div class="empty failed" role="alert">
    <p class="empty-title">${problem.message}</p>
    <p>${nextStep(problem)}</p>
    ${retry ? html`<p><button type="button" @click=${retry}>Try again</button></p>` : nothing}
  </div>
`;

/** What to do about a problem. */
export function nextStep(problem) {
  if (problem.kind === "gone") return "Is it running? The page tries again by itself.";
  if (problem.status === 429) return `Wait ${problem.retryAfter || 60} seconds, then try again.`;
  if (problem.status === 403) return "Reload the page; if that does not help, log in anew.";
  if (problem.status >= 500) return "The server's log says what went wrong.";
  return nothing;
}

export const card = (title, content, { extra = nothing, className = "" } = {}) => html`
  <section class="card ${className}">
    <header class="card-head"><h2>${title}</h2>${extra}</header>
    ${content}
  </section>
`;

export const loading = () => html`<p class="loading" aria-busy="true">Loading …</p>`;
