// The API's documentation: opens what an address names, and tries an operation with the session of this page.
"use strict";

(() => {
  const open = () => {
    const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (wanted && wanted.tagName === "DETAILS") {
      wanted.open = true;
      wanted.scrollIntoView();
    }
  };
  addEventListener("hashchange", open);
  open();

  // An id of any characters as one part of a path: see the paragraph on ids.
  const part = (text) => encodeURIComponent(text.replace(/~/g, "~7E").replace(/\//g, "~2F").replace(/^\.+$/, (dots) => "~2E".repeat(dots.length)));
  const page = document.querySelector(".docs");

  // On the way down: what app.js does with every form that is sent, it then leaves to this.
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form.try");
    if (!form) return;
    event.preventDefault();
    const [method, path] = ["data-method", "data-path"].map((name) => form.getAttribute(name)); // a field is called `dataset`
    if (method === "DELETE" && !confirm(`Send DELETE ${path}? What it deletes is gone.`)) return;
    const query = new URLSearchParams();
    let address = page.dataset.base + path;
    for (const field of form.querySelectorAll("input[data-place]")) {
      if (field.dataset.place === "path") address = address.replace(`{${field.name}}`, part(field.value));
      else if (field.value) query.append(field.name, field.value);
    }
    const headers = { Accept: "application/json", "X-CSRFToken": page.dataset.csrf };
    const content = form.elements.body;
    const isFile = content?.type === "file";
    const body = isFile ? content.files[0] : content?.value;
    if (content) headers["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
    const shown = form.querySelector("pre");
    shown.hidden = false;
    shown.textContent = `${method} ${address} …`;
    const answer = await fetch(address + (query.size ? `?${query}` : ""), { method, headers, body }).catch(() => null);
    if (!answer) {
      shown.textContent = `${method} ${address}\nThe dashboard does not answer.`;
      return;
    }
    const text = await answer.text();
    let told = text;
    try { told = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
    shown.textContent = `${method} ${address}${query.size ? `?${query}` : ""}\n${answer.status} ${answer.statusText}\n\n${told}`;
  }, true);
})();
