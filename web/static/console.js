// The editor: colours behind a plain text field, which stays what is typed into, read aloud and sent.
"use strict";

(() => {
  const field = document.getElementById("cypher");
  const behind = document.querySelector("[data-highlight]");
  const WORDS = "ACYCLIC ALL ALLSHORTESTPATHS AND ANY AS ASC BY CALL CASE COLLECT CONTAINS COUNT CSV DESC DESCENDING DISTINCT ELSE "
    + "END ENDS EXISTS FALSE FILTER FINISH FOR IN IS LET LIMIT MATCH NEXT NONE NOT NULL OFFSET OPTIONAL OR ORDER REDUCE RETURN "
    + "SEARCH SHORTEST SINGLE SKIP STARTS THEN TRUE UNION UNWIND USING WHEN WHERE WITH XOR YIELD";
  const keywords = new Set(WORDS.split(" "));
  const PARTS = /(\/\/[^\n]*|\/\*[\s\S]*?\*\/)|('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(`[^`]*`)|(\$\w+)|(:\s*[A-Z]\w*)|(\b\d+(?:\.\d+)?\b)|(\b[A-Za-z]+\b)/g;
  const KINDS = ["comment", "string", "name", "parameter", "label", "number", "word"];

  function colour() {
    const parts = [];
    let last = 0;
    for (const found of field.value.matchAll(PARTS)) {
      const kind = KINDS[found.slice(1).findIndex((part) => part !== undefined)];
      parts.push(field.value.slice(last, found.index));
      last = found.index + found[0].length;
      if (kind === "word" && !keywords.has(found[0].toUpperCase())) {
        parts.push(found[0]);
      } else {
        const span = document.createElement("span");
        span.className = `cypher-${kind}`;
        span.textContent = found[0];
        parts.push(span);
      }
    }
    behind.replaceChildren(...parts, field.value.slice(last), "\n");
    behind.scrollTop = field.scrollTop;
    behind.scrollLeft = field.scrollLeft;
  }

  field.addEventListener("input", colour);
  field.addEventListener("scroll", colour);
  field.form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      field.form.requestSubmit(field.form.querySelector("button[value=ask]"));
    }
  });
  field.parentElement.classList.add("coloured");
  colour();
})();
