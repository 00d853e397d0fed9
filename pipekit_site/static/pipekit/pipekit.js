// Buttons that ask first, forms that are sent once however often one clicks, pages that renew themselves while there is
// something to wait for. Without scripts everything still works.
"use strict";

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = event.submitter && event.submitter.dataset.ask;
  if (form.dataset.sent || (question && !window.confirm(question))) {
    event.preventDefault();
    return;
  }
  if (form.classList.contains("pk-verbs") || form.id === "pk-row-verb") {
    form.dataset.sent = "1";
  }
});

// back from another page: the form may be sent again
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
});

// a page says by data-renew after how many milliseconds it is to be fetched again, until it says so no more
function renewLater() {
  const wish = document.querySelector("[data-renew]");
  if (wish) {
    window.setTimeout(renew, Number(wish.dataset.renew));
  }
}

async function renew() {
  // not under the hands of somebody who reads or chooses
  if (!document.hidden && window.getSelection().isCollapsed) {
    try {
      const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("content-main");
      if (answer.ok && found) {
        document.getElementById("content-main").replaceWith(found);
      }
    } catch {
      // the server is away for a moment; the next time, then
    }
  }
  renewLater();
}

document.addEventListener("DOMContentLoaded", renewLater);
