/** The form that trades the secret for a session. */

import { html, nothing } from "../vendor/lit-html.js";
import * as api from "./api.js";
import { nextStep } from "./parts.js";

export class Login {
  constructor({ changed, done }) {
    this.changed = changed;
    this.done = done;
    this.note = "";
    this.problem = null;
    this.busy = false;
  }

  view() {
    return html`
      <main class="login" id="main">
        <form class="card" @submit=${(event) => this.#submit(event)}>
          <img src="/console/static/page/icon.svg" width="40" height="40" alt="">
          <h1>Tidewire console</h1>
          ${this.note ? html`<p class="notice" role="status">${this.note}</p>` : nothing}
          <input type="text" name="username" autocomplete="username" value="operator" hidden>
          <label for="secret">Operator secret</label>
          <input
            id="secret" name="secret" type="password" autocomplete="current-password" required
            aria-describedby="secret-hint" aria-invalid=${this.problem ? "true" : "false"}
          >
          <p class="hint" id="secret-hint">
            It is what <code>server.secret</code> says, or else stands in the file <code>secret</code> of the state directory.
          </p>
          <p class="error" role="alert">${this.problem ? html`${this.problem.message}. ${nextStep(this.problem)}` : nothing}</p>
          <button type="submit" class="primary" ?disabled=${this.busy}>Log in</button>
        </form>
      </main>
    `;
  }

  async #submit(event) {
    event.preventDefault();
    const field = event.target.elements.secret;
    this.busy = true;
    this.changed();
    try {
      await api.logIn(field.value);
      this.problem = null;
      this.note = "";
      field.value = "";
      this.busy = false;
      this.done();
    } catch (error) {
      this.problem = error;
      this.problem.message = error.message.replace(/\.$/, "");
      this.busy = false;
      this.changed();
      field.select();
      field.focus();
    }
  }
}
