// How far an upload is. Without this file the form sends the same, and the browser alone says how far.
"use strict";

for (const form of document.querySelectorAll("[data-upload]")) {
  const told = form.querySelector("[role=status]");
  const bar = told.querySelector("progress");
  const say = (text, share) => {
    told.hidden = false;
    told.querySelector("span").textContent = text;
    bar.value = share;
  };
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "text/html");
    request.upload.addEventListener("progress", (sent) => {
      const whole = sent.loaded >= sent.total;
      say(whole ? "Preparing the preview …" : `${megabytes(sent.loaded)} of ${megabytes(sent.total)}`, sent.loaded / sent.total);
    });
    request.addEventListener("load", () => {
      if (request.status < 400) {
        location.assign(request.responseURL);
        return;
      }
      if (request.status === 401) { // the session has ended: the form to log in leads back here
        location.assign(form.action);
        return;
      }
      const answer = new DOMParser().parseFromString(request.responseText, "text/html");
      const failure = answer.querySelector(".failure, .error");
      form.closest("main").querySelectorAll(".failure").forEach((old) => old.remove());
      if (failure) form.closest("main").querySelector(".summary").after(document.adoptNode(failure));
      else say(`The server refused the upload (${request.status}). Check whether it is too large, or try again.`, 0);
      told.hidden = Boolean(failure);
      button.disabled = false;
      form.querySelector("[type=file]").focus();
    });
    request.addEventListener("error", () => {
      say("The server ended the upload. Check whether it is too large, or try again.", 0);
      button.disabled = false;
    });
    button.disabled = true;
    say("Sending …", 0);
    request.send(new FormData(form));
  });
}
