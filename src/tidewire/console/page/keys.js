/** Keyboard shortcuts, and the list of them. */

import { html } from "../vendor/lit-html.js";

const GO = { o: "#/", q: "#/queues", p: "#/publish", s: "#/shards" };
const SEQUENCE = 1000;

const LIST = [
  [["g", "o"], "Overview"],
  [["g", "q"], "Queues"],
  [["g", "p"], "Publish"],
  [["g", "s"], "Shards"],
  [["/"], "Search queues"],
  [["j"], "Next queue in a list"],
  [["k"], "Previous queue in a list"],
  [["Enter"], "Open the queue"],
  [["Ctrl", "Enter"], "Dry run of a notice"],
  [["t"], "Light or dark"],
  [["?"], "This list"],
  [["Esc"], "Close, or leave a field"],
];

export class Keys {
  /** `search` opens the search; `active` says whether shortcuts count now. */
  constructor({ search, active }) {
    this.search = search;
    this.active = active;
    this.begunAt = 0;
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  static help() {
    document.querySelector("#help")?.showModal();
  }

  #press(event) {
    if (!this.active() || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (Date.now() - this.begunAt < SEQUENCE && event.key in GO) {
      this.begunAt = 0;
      location.hash = GO[event.key];
    } else if (event.key === "g") {
      this.begunAt = Date.now();
      return;
    } else if (event.key === "/") this.search();
    else if (event.key === "?") Keys.help();
    else if (event.key === "t") window.tidewireTheme.switch();
    else if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
    else return;
    event.preventDefault();
  }
}

function move(by) {
  const links = [...document.querySelectorAll("main table a.id")];
  const place = links.indexOf(document.activeElement);
  const next = links[place === -1 ? (by > 0 ? 0 : links.length - 1) : place + by];
  next?.focus();
}

export const helpDialog = () => html`
  <dialog id="help" aria-labelledby="help-title">
    <form method="dialog">
      <header class="card-head"><h2 id="help-title">Keyboard</h2><button aria-label="Close">Close</button></header>
      <dl class="shortcuts">
        ${LIST.map(([keys, does]) => html`<div><dt>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${does}</dd></div>`)}
      </dl>
    </form>
  </dialog>
`;
