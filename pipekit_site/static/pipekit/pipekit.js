// Confirmation of buttons, protection against submitting a form twice, and pages that reload while their row is
// changing. The admin also works without scripts.
"use strict";

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = event.submitter && event.submitter.dataset.ask;
  if (form.dataset.sent || (question && !window.confirm(question))) {
    event.preventDefault();
    return;
  }
  if (form.classList.contains("pk-buttons") || form.id === "pk-row-button") {
    form.dataset.sent = "1";
  }
});

// after going back to the page, its forms may be submitted again
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
});

// while a page has an element with data-renew, its content is reloaded after that many milliseconds
function scheduleReload() {
  const element = document.querySelector("[data-renew]");
  if (element) {
    window.setTimeout(reload, Number(element.dataset.renew));
  }
}

async function reload() {
  // not while the page is hidden or the user has selected text
  if (!document.hidden && window.getSelection().isCollapsed) {
    try {
      const response = await fetch(window.location.href, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const content = page.getElementById("content-main");
      if (response.ok && content) {
        document.getElementById("content-main").replaceWith(content);
      }
    } catch {
      // the server cannot be reached; try again later
    }
  }
  scheduleReload();
}

document.addEventListener("DOMContentLoaded", scheduleReload);
