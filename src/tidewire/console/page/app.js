/** The console: which page is shown, the frame around it, and the beat that all of it follows. */

import { html, nothing, render } from "../vendor/lit-html.js";
import * as api from "./api.js";
import { Keys, helpDialog } from "./keys.js";
import { Live } from "./live.js";
import { Login } from "./login.js";
import { Overview } from "./overview.js";
import { failed, nextStep } from "./parts.js";
import { Publish } from "./publish.js";
import { Queue } from "./queue.js";
import { Queues } from "./queues.js";
import { Shards } from "./shards.js";

const LINKS = [
  ["#/", "Overview"],
  ["#/queues", "Queues"],
  ["#/publish", "Publish"],
  ["#/shards", "Shards"],
];

class App {
  constructor(root) {
    root.replaceChildren(); // what stood there until now was not drawn by lit
    this.root = root;
    this.words = null;
    this.version = "";
    this.page = null;
    this.loggedIn = null;
    this.startProblem = null;
    this.trouble = null;
    this.pages = { "#/": new Overview(this), "#/queues": new Queues(this), "#/publish": new Publish(this), "#/shards": new Shards(this) };
    this.login = new Login({ changed: () => this.changed(), done: () => this.#enter({ focus: true }) });
    this.live = new Live({ changed: () => this.#pulse(), loggedOut: () => this.#leave("Your session has ended. Log in again.") });
    this.wanted = null;
    this.keys = new Keys({ search: () => this.#search(), active: () => this.loggedIn });
    addEventListener("hashchange", () => this.#route({ focus: true }));
    addEventListener("themechange", () => this.changed());
  }

  async start() {
    try {
      const session = await api.session();
      this.version = session.version;
      this.startProblem = null;
      if (session.logged_in) await this.#enter({ focus: false });
      else this.#leave("");
    } catch (error) {
      this.startProblem = error;
      this.changed();
      setTimeout(() => this.start(), 3000);
    }
  }

  /** Draws anew; everything that changes something calls it. */
  changed() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      render(this.#view(), this.root);
      this.#moveFocus();
    });
  }

  /** Does something that asks the server; what only concerns the connection is shown by the frame. */
  async attempt(work) {
    try {
      await work();
      this.trouble = null;
    } catch (error) {
      if (error.kind === "session") this.#leave("Your session has ended. Log in again.");
      else if (error.kind === "refused") this.trouble = error;
      else if (error.kind !== "gone") throw error;
    }
  }

  async #enter({ focus }) {
    this.loggedIn = true;
    this.#route({ focus });
    this.live.start();
    await this.attempt(async () => {
      this.words = await api.words();
    });
    this.changed();
  }

  #leave(note) {
    this.live.stop();
    this.loggedIn = false;
    this.login.note = note;
    document.title = "Log in · Tidewire console";
    this.wanted = "secret";
    this.changed();
  }

  async #logOut() {
    await this.attempt(() => api.logOut());
    this.#leave("You have logged out.");
  }

  #route({ focus }) {
    if (!this.loggedIn) return;
    const id = queueOf(location.hash);
    if (id === null) this.page = Object.hasOwn(this.pages, location.hash) ? this.pages[location.hash] : this.pages["#/"];
    else if (this.page?.id !== id) this.page = new Queue(this, id);
    document.title = `${this.page.title} · Tidewire console`;
    this.attempt(() => this.page.beat());
    if (focus) this.wanted ??= "main";
    this.changed();
    scrollTo(0, 0);
  }

  #search() {
    this.wanted = "search";
    location.hash = "#/queues";
    this.changed();
  }

  /** To what was wanted last, as soon as it is drawn and no later: by then somebody may have gone on with the Tab key. */
  #moveFocus() {
    const { wanted } = this;
    if (wanted === null || (wanted === "search" && this.page !== this.pages["#/queues"])) return;
    this.wanted = null;
    if (wanted === "search") this.pages["#/queues"].focusSearch();
    else document.querySelector(`#${wanted}`)?.focus({ preventScroll: true });
  }

  #pulse() {
    if (this.loggedIn && this.page && !this.live.problem && !this.live.paused) this.attempt(() => this.page.beat());
    this.changed();
  }

  #view() {
    if (this.loggedIn === null) {
      return this.startProblem ? html`<main class="login">${failed(this.startProblem)}</main>` : html`<p class="starting">The console is starting …</p>`;
    }
    if (!this.loggedIn) return this.login.view();
    return html`
      <a class="skip" href="#main" @click=${skip}>Skip to the content</a>
      ${this.#head()} ${this.#banner()}
      <main id="main" tabindex="-1">${this.page.view()}</main>
      <footer><span>Tidewire ${this.version}</span><span>Press <kbd>?</kbd> for shortcuts</span></footer>
      ${helpDialog()}
    `;
  }

  #head() {
    const dark = window.tidewireTheme.get() === "dark";
    const here = this.page instanceof Queue ? "#/queues" : this.page === this.pages["#/"] ? "#/" : location.hash;
    return html`
      <header class="top">
        <a class="brand" href="#/"><img src="/console/static/page/icon.svg" width="22" height="22" alt="">Tidewire</a>
        <nav aria-label="Pages">
          ${LINKS.map(([hash, title]) => html`<a href=${hash} aria-current=${hash === here ? "page" : "false"}>${title}</a>`)}
        </nav>
        <div class="tools">
          <span class="status ${this.#statusTone()}">${this.#status()}</span>
          <button type="button" class="plain" aria-label="Switch to the ${dark ? "light" : "dark"} theme" title="Light or dark (t)" @click=${() => window.tidewireTheme.switch()}>
            ${dark ? "Light" : "Dark"}
          </button>
          <button type="button" class="plain wide-only" title="Keyboard shortcuts (?)" aria-label="Keyboard shortcuts" @click=${Keys.help}>?</button>
          <button type="button" class="plain" @click=${() => this.#logOut()}>Log out</button>
        </div>
      </header>
    `;
  }

  #statusTone() {
    const { live } = this;
    if (live.problem) return "bad";
    return live.paused || live.pulse?.degraded.length || live.pulse?.stopping ? "warn" : "good";
  }

  #status() {
    const { live } = this;
    if (live.problem) return "not connected";
    if (live.paused) return "paused";
    if (live.pulse?.stopping) return "stopping";
    return live.pulse?.degraded.length ? "degraded" : "live";
  }

  #banner() {
    const { live } = this;
    return html`
      <div class="banners" role="status">
        ${live.problem
          ? html`
              <p class="banner bad">
                <span>${live.problem.message} ${live.problem.kind === "gone" ? "The page tries again by itself." : nextStep(live.problem)}
                ${live.seenAt ? `What you see is from ${new Date(live.seenAt).toLocaleTimeString("en-GB")}.` : nothing}</span>
                <button type="button" @click=${() => live.beat()}>Try now</button>
              </p>
            `
          : this.trouble
            ? html`<p class="banner bad"><span>${this.trouble.message} ${nextStep(this.trouble)}</span></p>`
          : live.pulse?.degraded.length
            ? html`<p class="banner warn"><span>Something is wrong: ${live.pulse.degraded.join(", ")}. Clients are served all the same; the server's log says more.</span></p>`
            : nothing}
      </div>
    `;
  }
}

/** The queue that a place names, or null. Anybody may type a place: what is not encoded as it should be stands for itself. */
function queueOf(place) {
  const [, id] = place.match(/^#\/queue\/(.+)$/s) ?? [];
  if (id === undefined) return null;
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

function skip(event) {
  event.preventDefault();
  document.querySelector("#main").focus();
}

new App(document.querySelector("#app")).start();
