/** The server's routes, as the page asks them: with the session's cookie, and its token where something changes. */

const TIMEOUT = 10_000;

/** What went wrong. `kind`: "gone" when nobody answered, "session" when nobody is logged in, else "refused". */
export class Problem extends Error {
  constructor(message, { kind, status = 0, code = "", retryAfter = 0 }) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

let token = "";

function kindOf(status) {
  if (status === 401) return "session";
  return status >= 502 ? "gone" : "refused";
}

async function ask(method, path, { body, type, query } = {}) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== "" && value !== null);
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Console-Token"] = token;
  if (type) headers["Content-Type"] = type;
  let response;
  let answer;
  try {
    response = await fetch(`/console/${path}${search}`, {
      method,
      headers,
      body,
      credentials: "same-origin",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    answer = await response.json();
  } catch {
    throw new Problem("The server does not answer.", { kind: "gone" });
  }
  if (!response.ok) {
    throw new Problem(answer.msg ?? `The server answered ${response.status}.`, {
      kind: kindOf(response.status),
      status: response.status,
      code: answer.code,
      retryAfter: Number(response.headers.get("Retry-After") ?? 0),
    });
  }
  return answer;
}

export async function session() {
  const answer = await ask("GET", "api/session");
  token = answer.token ?? "";
  return answer;
}

export async function logIn(secret) {
  const body = new URLSearchParams({ secret }).toString();
  const answer = await ask("POST", "login", { body, type: "application/x-www-form-urlencoded" });
  token = answer.token;
}

export async function logOut() {
  await ask("POST", "logout");
  token = "";
}

export const pulse = () => ask("GET", "api/pulse");
export const words = () => ask("GET", "api/words");
export const shards = () => ask("GET", "api/shards");
export const queues = (query) => ask("GET", "api/queues", { query });
export const queue = (id, query) => ask("GET", `api/queues/${encodeURIComponent(id)}`, { query });
export const explain = (query) => ask("GET", "api/explain", { query });
export const dryRun = (notice, query) =>
  ask("POST", "api/explain/dry-run", { body: notice, type: "application/json", query });
export const publish = (notice) => ask("POST", "api/notices", { body: notice, type: "application/json" });
