/** The page: the state comes with `register` and is kept by the rules of `models.py`; the rest is showing it. */
import { Client, LiveState, keyed } from "/live/tidewire.js";

const TYPING_SHOWN = 4000;
const TYPING_TOLD_EVERY = 2000;

const RULES = {
  channels: keyed("channels", { eventType: "chat_channel", item: "channel" }),
  messages: keyed("messages", { eventType: "chat_message", item: "message" }),
  marks: keyed("marks", { eventType: "chat_mark", item: "mark" }),
  people: (state) => state,
};
const EVENT_TYPES = ["chat_channel", "chat_message", "chat_mark", "chat_typing"];

const find = (id) => document.getElementById(id);
const me = JSON.parse(find("me").textContent);
const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
const typers = new Map(); // who is typing here, and the timer that takes them off

let open = null; // the channel that is shown
const told = { typing: 0, read: 0 };

const state = new LiveState(RULES, (value) => {
  say("connected");
  show(value);
});

function show({ channels, messages, marks, people }) {
  const all = Object.values(messages).sort((one, other) => one.id - other.id);
  open ??= Object.values(channels)[0]?.id ?? null;
  const unread = (channel) => {
    const through = marks[`${channel}-${me}`]?.through ?? 0;
    return all.filter((message) => message.channel === channel && message.id > through).length;
  };
  find("channels").replaceChildren(...Object.values(channels).map((channel) => tab(channel, unread(channel.id))));
  const here = all.filter((message) => message.channel === open);
  const last = here.at(-1);
  const readers = Object.values(marks)
    .filter((mark) => last && mark.channel === open && mark.user !== last.sender && mark.user !== me && mark.through >= last.id)
    .map((mark) => people[mark.user]?.name ?? "somebody");
  const list = find("messages");
  const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 50;
  list.replaceChildren(...here.map((message) => bubble(message, people)), ...seen(readers));
  if (wasAtEnd) list.scrollTop = list.scrollHeight;
  markRead(last);
}

function tab(channel, unread) {
  const button = element("button", "", channel.name);
  if (channel.id === open) button.setAttribute("aria-current", "true");
  else if (unread) button.append(element("span", "unread", String(unread)));
  button.addEventListener("click", () => {
    open = channel.id;
    typers.clear();
    showTyping();
    show(state.value);
  });
  return button;
}

function bubble(message, people) {
  const item = element("li", message.sender === me ? "own" : "");
  const name = people[message.sender]?.name ?? "somebody";
  const time = new Date(message.sent).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(element("small", "", `${name}, ${time}`), element("div", "bubble", message.text));
  return item;
}

const seen = (readers) => (readers.length ? [element("li", "own seen", `read by ${readers.sort().join(", ")}`)] : []);

function element(tag, kind, text = "") {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}

/** Who looks at a message has read it. */
function markRead(last) {
  if (!last || document.visibilityState !== "visible" || last.id <= told.read) return;
  if ((state.value.marks[`${open}-${me}`]?.through ?? 0) >= last.id) return;
  told.read = last.id;
  post("read", { through: last.id }).catch(() => (told.read = 0));
}

function isTyping({ channel, user }) {
  if (channel !== open || user === me) return;
  clearTimeout(typers.get(user));
  typers.set(user, setTimeout(() => hasStopped(user), TYPING_SHOWN));
  showTyping();
}

function hasStopped(user) {
  clearTimeout(typers.get(user));
  if (typers.delete(user)) showTyping();
}

function showTyping() {
  const names = [...typers.keys()].map((user) => state.value.people[user]?.name ?? "somebody");
  find("typing").textContent = names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing` : "";
}

async function post(what, fields = {}) {
  const body = new URLSearchParams(fields);
  const answer = await fetch(`/channels/${open}/${what}`, { method: "POST", body, headers: { "X-CSRFToken": token } });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}`);
}

function say(text, isWrong = false) {
  find("status").textContent = text;
  find("status").classList.toggle("wrong", isWrong);
}

find("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = event.target.elements.text;
  const text = field.value;
  if (!text.trim()) return;
  field.value = "";
  told.typing = 0;
  try {
    await post("say", { text });
  } catch {
    field.value ||= text; // nothing is lost: it can be sent again
    say("not sent, try again", true);
  }
});

find("say").addEventListener("input", () => {
  if (Date.now() - told.typing < TYPING_TOLD_EVERY) return;
  told.typing = Date.now();
  post("typing").catch(() => {});
});

document.addEventListener("visibilitychange", () => state.value.channels && show(state.value));

const events = new Client("", { root: "/json" }).events({
  eventTypes: EVENT_TYPES,
  state,
  onRetry: (error, seconds) => say(`no connection, again in ${Math.ceil(seconds)} s`, true),
  onRecovered: () => say("connected"),
});
try {
  for await (const event of events) {
    if (event.type === "chat_typing") isTyping(event);
    if (event.type === "chat_message") hasStopped(event.message.sender);
  }
} catch (error) {
  say(error.status === 401 ? "logged out" : error.message, true);
}
