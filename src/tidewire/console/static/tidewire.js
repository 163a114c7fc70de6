/**
 * Tidewire's client for pages: registers an event queue and reads it, as `tidewire.client` does in Python.
 *
 *   import { Client } from "./tidewire.js";
 *   const client = new Client("https://events.example", { email, apiKey });
 *   for await (const event of client.events({ eventTypes: ["message"], onGap: console.log })) { ... }
 *
 * An event is acknowledged when the loop asks for the one after it. Nothing is given twice. Lost connections, 5xx
 * and 429 are tried again; when the queue is gone another takes its place, and `onGap` is told.
 */

const REQUEST_TIMEOUT = 30;
const FAREWELL_TIMEOUT = 1;
const POLL_TIMEOUT = 90; // the server ends each poll well before, with a heartbeat: this is the watchdog
const FIRST_DELAY = 1;
const LONGEST_DELAY = 45;
const MAX_RETRY_AFTER = 3600;
const ENVELOPE = new Set([
  "idle_queue_timeout_secs",
  "ignored_parameters_unsupported",
  "last_event_id",
  "msg",
  "queue_id",
  "result",
]);

/** What a client throws. `code` is the server's, or CONNECTION_FAILED or BAD_ANSWER, found on this side. */
export class TidewireError extends Error {
  constructor(message, { code, status = 0, retryHelps = false, retryAfter = null, data = {} }) {
    super(`${message} (${code})`);
    this.name = new.target.name;
    this.code = code;
    this.status = status;
    this.retryHelps = retryHelps;
    this.retryAfter = retryAfter;
    this.data = data;
  }
}

/** The event queue is no longer there; `reason` says why, as far as the server knows. */
export class QueueGone extends TidewireError {
  get reason() {
    return typeof this.data.reason === "string" && this.data.reason ? this.data.reason : "unknown";
  }
}

export class Client {
  /**
   * @param {string} url  where the server is; "" is where the page comes from
   * @param {object} options  `email` and `apiKey`, or neither and `root: "/json"` for the page's own session;
   *   `headers` for every request, such as a CSRF token; `timeout`: seconds for a poll
   */
  constructor(url, { email, apiKey, root = "/api/v1", headers = {}, timeout = POLL_TIMEOUT } = {}) {
    this.base = url.replace(/\/+$/, "") + root;
    this.timeout = timeout;
    this.credentials = email === undefined ? "same-origin" : "omit";
    this.headers = { Accept: "application/json", ...headers };
    if (email !== undefined) {
      const bytes = new TextEncoder().encode(`${email}:${apiKey}`);
      this.headers.Authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;
    }
  }

  /** Makes a queue, and returns the whole answer. `parameters` have the names that the server's route has. */
  async register({ eventTypes = null, narrow = [], ...parameters } = {}, signal) {
    const form = encode({ event_types: eventTypes, narrow, ...parameters });
    const answer = await this.#ask("POST", "/register", { body: form, timeout: REQUEST_TIMEOUT, signal });
    if (typeof answer.queue_id !== "string" || !Number.isInteger(answer.last_event_id)) {
      throw badAnswer("The answer to register names no queue");
    }
    return answer;
  }

  /** Polls once, and returns the events, heartbeats included. */
  async getEvents(queueId, lastEventId, { dontBlock = false, signal } = {}) {
    const query = encode({ queue_id: queueId, last_event_id: lastEventId, dont_block: dontBlock });
    const answer = await this.#ask("GET", `/events?${query}`, { timeout: this.timeout, signal });
    if (!Array.isArray(answer.events) || !answer.events.every((event) => Number.isInteger(event?.id))) {
      throw badAnswer("The answer to a poll holds no list of events");
    }
    return answer.events;
  }

  /** Deletes a queue. */
  async deregister(queueId, { timeout = REQUEST_TIMEOUT, keepalive = false } = {}) {
    await this.#ask("DELETE", `/events?${encode({ queue_id: queueId })}`, { timeout, keepalive });
  }

  /**
   * Yields events for ever, without heartbeats, and deletes the queue when the loop is left.
   *
   * @param {object} options
   *   eventTypes, narrow: which events; further names are parameters of `register`
   *   onGap({oldQueueId, reason, lastEventId, newQueueId}): events may be missing here
   *   onRetry(error, seconds), onRecovered(): a failure that is tried again, and the success after it
   *   state: a LiveState, kept up to date; readState(): reads it from the application at each registration
   *   signal: an AbortSignal that ends the stream
   */
  async *events({ onGap, onRetry, onRecovered, state, readState, signal, ...asked } = {}) {
    const stream = new Stream(this, { onGap, onRetry, onRecovered, state, readState, signal }, asked);
    const farewell = () => stream.leave(true);
    globalThis.addEventListener?.("pagehide", farewell);
    try {
      await stream.open();
      yield* stream.events();
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      globalThis.removeEventListener?.("pagehide", farewell);
      await stream.leave(false);
    }
  }

  async #ask(method, path, { body, timeout, signal, keepalive = false }) {
    const limit = new AbortController();
    const stop = () => limit.abort();
    const timer = setTimeout(stop, timeout * 1000);
    signal?.addEventListener("abort", stop);
    try {
      signal?.throwIfAborted();
      const { credentials, headers } = this;
      const options = { method, headers, body, credentials, keepalive, cache: "no-store", signal: limit.signal };
      const response = await fetch(this.base + path, options);
      return await success(response);
    } catch (error) {
      if (error instanceof TidewireError || signal?.aborted) throw error;
      const what = limit.signal.aborted ? `No answer within ${timeout} s` : `No answer: ${error.message}`;
      throw new TidewireError(what, { code: "CONNECTION_FAILED", retryHelps: true });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }
}

/** One reader's stream, and the queue that feeds it at the moment. */
class Stream {
  #client;
  #told;
  #asked;
  #queueId = null;
  #lastEventId = -1;
  #ceiling = FIRST_DELAY;
  #hasFailed = false;

  constructor(client, told, asked) {
    this.#client = client;
    this.#told = told;
    this.#asked = told.state ? { fetch_event_types: told.state.fetchTypes, ...asked } : asked;
  }

  async open() {
    await this.#take(await this.#patiently(() => this.#register(), true));
  }

  async *events() {
    for (;;) {
      for (const event of await this.#nextAnswer()) {
        if (event.id <= this.#lastEventId) continue;
        if (event.type !== "heartbeat") {
          this.#told.state?.take(event);
          yield event;
        }
        this.#lastEventId = event.id;
      }
    }
  }

  async leave(isLeavingPage) {
    const queueId = this.#queueId;
    this.#queueId = null;
    if (queueId === null) return;
    // It expires by itself otherwise.
    await this.#client
      .deregister(queueId, { timeout: FAREWELL_TIMEOUT, keepalive: isLeavingPage })
      .catch(() => {});
  }

  #register() {
    return this.#client.register(this.#asked, this.#told.signal);
  }

  /** Polls until something new comes, with a new queue where the old one is gone. */
  async #nextAnswer() {
    let wasEmpty = false;
    let wasGone = false;
    for (;;) {
      let events;
      let wasAsking = false;
      try {
        events = await this.#patiently(() => {
          // After a failure without waiting, so that a recovery shows at once.
          wasAsking = this.#hasFailed;
          const { signal } = this.#told;
          return this.#client.getEvents(this.#queueId, this.#lastEventId, { dontBlock: wasAsking, signal });
        });
      } catch (error) {
        if (!(error instanceof QueueGone)) throw error;
        if (wasGone) await this.#pause(this.#nextDelay());
        wasGone = true;
        await this.#replaceQueue(error.reason);
        continue;
      }
      if (this.#hasFailed) {
        this.#hasFailed = false;
        await this.#told.onRecovered?.();
      }
      events.sort((one, other) => one.id - other.id);
      if (events.some((event) => event.id > this.#lastEventId)) {
        this.#ceiling = FIRST_DELAY;
        return events;
      }
      // One answer without news is normal; a row of them must not become a busy loop.
      if (wasEmpty) await this.#pause(this.#nextDelay());
      wasEmpty ||= !wasAsking;
    }
  }

  async #replaceQueue(reason) {
    const [oldQueueId, lastEventId] = [this.#queueId, this.#lastEventId];
    await this.#take(await this.#patiently(() => this.#register()));
    await this.#told.onGap?.({ oldQueueId, reason, lastEventId, newQueueId: this.#queueId });
  }

  async #take(answer) {
    this.#queueId = answer.queue_id;
    this.#lastEventId = answer.last_event_id;
    const { state, readState } = this.#told;
    // The queue is there first, so what changes while the state is read comes as an event.
    if (state) state.begin(readState ? await readState() : answer);
  }

  async #patiently(attempt, isFirst = false) {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        // Before any success only an answer proves that the address is right.
        const isHopeless = isFirst && error.code === "CONNECTION_FAILED";
        if (!(error instanceof TidewireError) || !error.retryHelps || isHopeless) throw error;
        this.#hasFailed = true;
        const seconds = this.#nextDelay() + (error.retryAfter ?? 0);
        await this.#told.onRetry?.(error, seconds);
        await this.#pause(seconds, error.retryAfter === null);
      }
    }
  }

  /** Full jitter: the whole range is drawn from, so that many pages don't come back together. */
  #nextDelay() {
    const seconds = Math.random() * this.#ceiling;
    this.#ceiling = Math.min(LONGEST_DELAY, this.#ceiling * 2);
    return seconds;
  }

  /** Waits, until the machine is online again if that is sooner. */
  #pause(seconds, endsOnline = false) {
    const { signal } = this.#told;
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        globalThis.removeEventListener?.("online", end);
        signal?.removeEventListener("abort", end);
        if (signal?.aborted) reject(signal.reason);
        else resolve();
      };
      const timer = setTimeout(end, seconds * 1000);
      if (endsOnline) globalThis.addEventListener?.("online", end);
      signal?.addEventListener("abort", end);
      if (signal?.aborted) end();
    });
  }
}

/** The state of a page: what `register` answered with, or `readState` read, and every event since. */
export class LiveState {
  #apply;
  #onChange;

  /**
   * @param {object} apply  for each fetch type a function (state, event) => state after it
   * @param {function} onChange  is called with the state when it is there, and after each event
   */
  constructor(apply, onChange = () => {}) {
    this.#apply = apply;
    this.#onChange = onChange;
    this.value = Object.freeze({});
  }

  get fetchTypes() {
    return Object.keys(this.#apply);
  }

  begin(members) {
    this.value = Object.fromEntries(Object.entries(members).filter(([name]) => !ENVELOPE.has(name)));
    this.#onChange(this.value);
  }

  take(event) {
    this.value = Object.values(this.#apply).reduce((state, apply) => apply(state, event), this.value);
    this.#onChange(this.value);
  }
}

/** A value that each event brings anew, in its key `value`. */
export const latest = (member, { eventType, value }) => (state, event) =>
  event.type !== eventType || !(value in event) ? state : { ...state, [member]: event[value] };

/** A table of objects by their `key`; events put the one in their key `item`, or take it out (op "remove"). */
export const keyed = (member, { eventType, item, key = "id" }) => (state, event) => {
  if (event.type !== eventType) return state;
  const brought = event[item];
  const { [String(brought[key])]: held, ...others } = state[member] ?? {};
  if (event.op === "remove") return { ...state, [member]: others };
  return { ...state, [member]: { ...others, [String(brought[key])]: { ...held, ...brought } } };
};

/** A sorted list of unlike values, into which events put those in their key `items`, or take them out. */
export const members = (member, { eventType, items }) => (state, event) => {
  if (event.type !== eventType) return state;
  const held = new Set(state[member] ?? []);
  for (const value of event[items]) {
    if (event.op === "remove") held.delete(value);
    else held.add(value);
  }
  return { ...state, [member]: [...held].sort((one, other) => (one < other ? -1 : Number(one > other))) };
};

/** Encodes parameters: strings bare, the rest as JSON, null left out. */
function encode(parameters) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null || value === undefined) continue;
    form.set(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  return form;
}

function badAnswer(message) {
  return new TidewireError(message, { code: "BAD_ANSWER", status: 502, retryHelps: true });
}

async function success(response) {
  const text = await response.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page, perhaps: the status is all there is to go by.
  }
  if (response.ok && body?.result === "success") return body;
  if (response.ok && typeof body?.code !== "string") {
    throw badAnswer("The server's answer is not Tidewire's; is this the right URL?");
  }
  const { code = "HTTP_ERROR", msg = `The server answered ${response.status}`, result: _, ...data } = body ?? {};
  const kind = code === "BAD_EVENT_QUEUE_ID" ? QueueGone : TidewireError;
  const { status } = response;
  throw new kind(msg, {
    code,
    status,
    retryHelps: status >= 500 || status === 429,
    retryAfter: retryAfter(response),
    data,
  });
}

function retryAfter(response) {
  const seconds = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, MAX_RETRY_AFTER) : null;
}
