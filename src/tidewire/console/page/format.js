/** Numbers, sizes and times as people read them. */

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const fullTime = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const NOTHING = "–";

export const count = (number) => (number >= 100_000 ? compact.format(number) : whole.format(number));

export const exact = (number) => whole.format(number);

export function rate(number) {
  if (number === null || number === undefined) return NOTHING;
  if (number > 0 && number < 10 && !Number.isInteger(number)) return number.toFixed(1);
  return count(Math.round(number));
}

export function bytes(number) {
  let unit = 0;
  let value = number;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function milliseconds(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  const ms = seconds * 1000;
  return `${ms === 0 || ms >= 10 ? Math.round(ms) : ms.toFixed(ms < 1 ? 2 : 1)} ms`;
}

/** How long, in the largest unit that says enough. */
export function duration(seconds) {
  const given = Math.max(0, seconds);
  if (given < 1) return `${Math.round(given * 1000)} ms`;
  if (given < 10) return `${given.toFixed(1)} s`;
  if (given < 120) return `${Math.round(given)} s`;
  if (given < 7200) return `${Math.round(given / 60)} min`;
  if (given < 172_800) return `${Math.round(given / 3600)} h`;
  return `${Math.round(given / 86_400)} days`;
}

export const clock = (seconds) => (seconds === null ? NOTHING : clockTime.format(seconds * 1000));

export const moment = (seconds) => (seconds === null ? NOTHING : fullTime.format(seconds * 1000));

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
