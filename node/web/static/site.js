// What every page does beside htmx: says what went wrong, and does not count what it asks for by itself as activity.
"use strict";

document.addEventListener("htmx:configRequest", (event) => {
  // "every 5s" comes without an event of the user's; the server does not prolong a session for it
  if (!event.detail.triggeringEvent) event.detail.headers["X-Unattended"] = "1";
});

const told = (text) => {
  const place = document.getElementById("told");
  place.textContent = text;
  place.hidden = !text;
};

const messageOf = (answer) => {
  try {
    return JSON.parse(answer.responseText).error.message;
  } catch {
    return `The page answered ${answer.status}.`;
  }
};

// a second click before the answer is there would only tell that what was asked for has been done
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
  setTimeout(() => delete form.dataset.sent, 2000);
});

document.addEventListener("htmx:responseError", (event) => told(messageOf(event.detail.xhr)));
document.addEventListener("htmx:sendError", () => told("The page does not answer; is cspine-node web running?"));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) told("");
});
