/** What the server's pulse says, second by second, as long as somebody looks; and what it said before, for the plots. */

import * as api from "./api.js";

const EVERY = 1000;
const LONGEST_DELAY = 15_000;
const KEPT = 600; // points of a plot: ten minutes

const sum = (counts) => Object.values(counts).reduce((total, one) => total + one, 0);

/** Totals that are plotted as so much a second. */
const RATES = {
  delivered: (pulse) => pulse.totals.delivered,
  notices: (pulse) => sum(pulse.notices),
  refused: (pulse) => sum(pulse.refused),
  answered: (pulse) => pulse.totals.answered,
};

/** What is plotted as it is. */
const LEVELS = {
  waiting: (pulse) => pulse.waiting,
  memory: (pulse) => pulse.memory_used,
  budget: (pulse) => pulse.memory_budget || null,
  turn: (pulse) => pulse.loop_turn,
};

/** What takes how long is plotted as the mean since the last pulse. */
const MEANS = { handled: "notices", written: "writes", flushed: "flushes" };

export class Live {
  /** `changed` is called after each answer; `loggedOut` when the session has ended. */
  constructor({ changed, loggedOut }) {
    this.changed = changed;
    this.loggedOut = loggedOut;
    this.pulse = null;
    this.rates = {};
    this.problem = null;
    this.retryAt = 0;
    this.series = { time: [], trip: [] };
    for (const name of [...Object.keys(RATES), ...Object.keys(MEANS), ...Object.keys(LEVELS)]) this.series[name] = [];
    this.timer = 0;
    this.running = false;
    this.failures = 0;
    document.addEventListener("visibilitychange", () => this.#visibility());
  }

  get paused() {
    return document.hidden;
  }

  start() {
    this.running = true;
    this.beat();
  }

  stop() {
    this.running = false;
    clearTimeout(this.timer);
  }

  /** Asks now, and then again and again. */
  async beat() {
    clearTimeout(this.timer);
    if (!this.running || this.asking || document.hidden) return;
    this.asking = true;
    const began = performance.now();
    try {
      const pulse = await api.pulse();
      this.#take(pulse, (performance.now() - began) / 1000);
      this.problem = null;
      this.failures = 0;
    } catch (error) {
      if (error.kind === "session") {
        this.asking = false;
        this.stop();
        this.loggedOut();
        return;
      }
      this.failures += 1;
      this.problem = error;
    }
    this.asking = false;
    const delay = this.failures ? Math.min(LONGEST_DELAY, EVERY * 2 ** (this.failures - 1)) : EVERY;
    this.retryAt = Date.now() + delay;
    clearTimeout(this.timer);
    if (this.running) this.timer = setTimeout(() => this.beat(), delay);
    this.changed();
  }

  #visibility() {
    if (document.hidden) clearTimeout(this.timer);
    else {
      this.failures = 0;
      this.beat();
    }
    this.changed();
  }

  #take(pulse, trip) {
    const before = this.pulse;
    const passed = before === null ? 0 : pulse.now - before.now;
    // A server that was started anew counts from nothing; after a pause the mean would hide what there was.
    const follows = passed > 0 && passed < 5 && pulse.totals.registered >= before.totals.registered;
    for (const [name, total] of Object.entries(RATES)) {
      const grown = follows ? total(pulse) - total(before) : null;
      this.rates[name] = grown === null || grown < 0 ? null : grown / passed;
    }
    const means = {};
    for (const [name, key] of Object.entries(MEANS)) {
      const [now, then] = [pulse.times[key], follows ? before.times[key] : undefined];
      means[name] = now && then && now.count > then.count ? (now.seconds - then.seconds) / (now.count - then.count) : null;
    }
    if (before !== null && !follows) this.#append(before.now + 0.001, null);
    const found = { ...this.rates, ...means, trip };
    this.#append(pulse.now, (name) => (name in found ? found[name] : LEVELS[name](pulse)));
    this.pulse = pulse;
    this.seenAt = Date.now();
  }

  #append(time, value) {
    const last = this.series.time.at(-1);
    if (last !== undefined && time <= last) return;
    for (const [name, points] of Object.entries(this.series)) {
      points.push(name === "time" ? time : value === null ? null : value(name));
      if (points.length > KEPT) points.shift();
    }
  }
}
