/** `<tw-chart>`: lines over time with a legend. Properties: `label`, `lines` ({name, title, tone, dash, fill, aside}), `series`,
 *  `format`, `least` (what the axis shows at least) and `steps` (between its lines). */

import uPlot from "../vendor/uplot.js";
import { clock } from "./format.js";

const HEIGHT = 168;
const LEAST_TIME = 60; // seconds that the axis shows at least
const ASIDE = 4; // a bound stays out of the picture until it is less than so many times as high as the rest
const FONT = '11px system-ui, -apple-system, "Segoe UI", sans-serif';

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

class Chart extends HTMLElement {
  #plot = null;
  #size = new ResizeObserver(() => this.#fit());
  #themed = () => this.#build();

  connectedCallback() {
    if (!this.box) this.#lay();
    this.#size.observe(this);
    addEventListener("themechange", this.#themed);
    this.#build();
  }

  disconnectedCallback() {
    this.#size.disconnect();
    removeEventListener("themechange", this.#themed);
    this.#plot?.destroy();
    this.#plot = null;
  }

  /** Setting it draws: `{series, revision}`; the arrays are the same ones each time. */
  set data({ series }) {
    this.series = series;
    this.#draw();
  }

  #lay() {
    this.box = document.createElement("div");
    this.box.className = "plot";
    this.box.setAttribute("role", "img");
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    for (const line of this.lines) {
      const item = document.createElement("li");
      const key = document.createElement("span");
      key.className = `key tone-${line.tone}${line.dash ? " dashed" : ""}`;
      const title = document.createElement("span");
      title.textContent = line.title;
      const value = document.createElement("output");
      item.append(key, title, value);
      this.legend.append(item);
    }
    this.append(this.legend, this.box);
  }

  #build() {
    this.#plot?.destroy();
    if (!this.isConnected || !this.clientWidth) {
      this.#plot = null;
      return;
    }
    const axis = { stroke: colour("muted"), font: FONT, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    const series = this.lines.map((line) => ({
      stroke: colour(line.tone),
      width: 1.5,
      dash: line.dash ? [4, 4] : undefined,
      fill: line.fill ? `${colour(line.tone)}1f` : undefined,
      points: { show: false },
    }));
    this.#plot = new uPlot(
      {
        width: this.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: {
          x: { range: (_plot, first, last) => [Math.min(first, last - LEAST_TIME), last] },
          y: { range: () => [0, this.#high()] },
        },
        axes: [
          { ...axis, grid: { show: false }, space: 64, size: 28, values: (_plot, ticks) => ticks.map(clock) },
          { ...axis, size: 58, space: 30, incrs: this.steps, values: (_plot, ticks) => ticks.map((tick) => this.format(tick)) },
        ],
        series: [{}, ...series],
        hooks: { setCursor: [(plot) => this.#tell(plot.cursor.idx)] },
      },
      this.#points(),
      this.box,
    );
    this.#tell(null);
  }

  #points() {
    const { time } = this.series;
    // Two points at least, so that the axis has a beginning and an end.
    if (time.length === 0) return [[0, 1], ...this.lines.map(() => [null, null])];
    return [time, ...this.lines.map((line) => this.series[line.name])];
  }

  #high() {
    const most = (lines) => Math.max(0, ...lines.map((line) => this.series[line.name].reduce((high, value) => Math.max(high, value ?? 0), 0)));
    const high = most(this.lines.filter((line) => !line.aside));
    const bound = most(this.lines.filter((line) => line.aside));
    return 1.1 * (bound < ASIDE * high ? Math.max(high, bound) : high) || (this.least ?? 1);
  }

  #draw() {
    if (!this.#plot) {
      if (this.box) this.#build();
      return;
    }
    this.#plot.setData(this.#points());
    this.#tell(this.#plot.cursor.idx);
  }

  #fit() {
    if (!this.#plot) this.#build();
    else if (this.#plot.width !== this.clientWidth) this.#plot.setSize({ width: this.clientWidth, height: HEIGHT });
  }

  #tell(index) {
    const words = [];
    this.lines.forEach((line, place) => {
      const points = this.series[line.name];
      const value = index === null || index === undefined ? points.at(-1) : points[index];
      const shown = value === null || value === undefined ? "–" : this.format(value);
      this.legend.children[place].lastChild.textContent = shown;
      words.push(`${line.title} ${shown}`);
    });
    this.box.setAttribute("aria-label", `${this.label}: ${words.join(", ")}`);
  }
}

customElements.define("tw-chart", Chart);
