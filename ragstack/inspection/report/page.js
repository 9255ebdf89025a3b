
"use strict";
(() => {
  const documents = JSON.parse(document.getElementById("data").textContent);
  const table = document.querySelector("#documents tbody");
  const search = document.getElementById("search");
  const matches = document.getElementById("matches");
  const list = document.getElementById("chunks");
  const text = document.getElementById("text");
  const state = { key: "path", descending: false, chosen: null };

  for (const entry of documents) {
    entry.searched = [entry.root, entry.path, entry.title, entry.text || ""].join("\n").toLowerCase();
  }

  function element(name, content, kind) {
    const made = document.createElement(name);
    made.textContent = content;
    if (kind) made.className = kind;
    return made;
  }

  function shown() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = documents.filter((entry) => words.every((word) => entry.searched.includes(word)));
    const sign = state.descending ? -1 : 1;
    return found.sort((a, b) => {
      const [x, y] = [a[state.key], b[state.key]];
      return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
    });
  }

  function row(entry) {
    const made = document.createElement("tr");
    made.tabIndex = 0;
    made.dataset.id = entry.id;
    made.setAttribute("aria-selected", String(entry === state.chosen));
    made.append(
      element("td", entry.path + (entry.stale ? " (stale)" : "")), element("td", entry.title), element("td", entry.type),
      element("td", entry.characters.toLocaleString("en"), "number"),
      element("td", entry.count.toLocaleString("en"), "number"));
    made.addEventListener("click", () => open(entry));
    made.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(entry); }
      const next = event.key === "ArrowDown" ? made.nextSibling : event.key === "ArrowUp" ? made.previousSibling : null;
      if (next) { event.preventDefault(); next.focus(); }
    });
    return made;
  }

  function draw() {
    const found = shown();
    table.replaceChildren(...found.map(row));
    for (const button of document.querySelectorAll("#documents th button")) {
      const order = button.dataset.key !== state.key ? "none" : state.descending ? "descending" : "ascending";
      button.parentElement.setAttribute("aria-sort", order);
    }
    matches.textContent = `${found.length} of ${documents.length} documents`;
  }

  function open(entry) {
    state.chosen = entry;
    draw();
    document.getElementById("browser").hidden = false;
    const heading = document.getElementById("browser-heading");
    heading.textContent = entry.path;
    const facts = [`document ${entry.id}`, entry.title, `${entry.tokens.toLocaleString("en")} tokens`];
    for (const [name, value] of Object.entries(entry.metadata)) facts.push(`${name}: ${value}`);
    document.getElementById("about").textContent = facts.filter(Boolean).join(" \u00b7 ");
    if (entry.text === null) {
      list.replaceChildren();
      text.replaceChildren(element("p", "This page does not carry the text of this document."));
    } else {
      list.replaceChildren(...entry.chunks.map(option));
      text.replaceChildren(...segments(entry));
    }
    heading.focus();
    heading.scrollIntoView({ block: "start" });
  }

  function option([id, start, end, tokens, section], at) {
    const made = element("div", `${id}: ${start}-${end}, ${tokens} tokens${section ? ` \u00b7 ${section}` : ""}`);
    made.id = `chunk-${id}`;
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", "false");
    made.addEventListener("click", () => choose(at));
    return made;
  }

  // Offsets are code points, so the text is cut as such; each piece lies in the same windows throughout.
  function segments(entry) {
    const points = Array.from(entry.text);
    const borders = new Set([0, points.length]);
    for (const [, start, end] of entry.chunks) { borders.add(start); borders.add(end); }
    const sorted = [...borders].sort((a, b) => a - b);
    const made = [];
    let first = 0;
    for (let at = 0; at + 1 < sorted.length; at++) {
      const [start, end] = [sorted[at], sorted[at + 1]];
      while (first < entry.chunks.length && entry.chunks[first][2] <= start) first++;
      const holders = [];
      for (let each = first; each < entry.chunks.length && entry.chunks[each][1] < end; each++) {
        if (entry.chunks[each][2] >= end) holders.push(each);
      }
      const kind = holders.length > 1 ? "shared" : holders.length === 0 ? "" : holders[0] % 2 ? "two" : "one";
      const piece = element("span", points.slice(start, end).join(""), kind);
      piece.dataset.windows = holders.join(" ");
      if (holders.length) piece.addEventListener("click", () => choose(holders[holders.length - 1]));
      made.push(piece);
    }
    return made;
  }

  function choose(at) {
    const options = list.children;
    if (at < 0 || at >= options.length) return;
    for (const each of options) each.setAttribute("aria-selected", String(each === options[at]));
    list.setAttribute("aria-activedescendant", options[at].id);
    options[at].scrollIntoView({ block: "nearest" });
    let first = true;
    for (const piece of text.children) {
      const holds = (piece.dataset.windows || "").split(" ").includes(String(at));
      piece.classList.toggle("chosen", holds);
      if (holds && first) { piece.scrollIntoView({ block: "nearest" }); first = false; }
    }
  }

  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const now = [...list.children].findIndex((each) => each.getAttribute("aria-selected") === "true");
    choose(now < 0 ? 0 : now + step);
  });
  for (const button of document.querySelectorAll("#documents th button")) {
    button.addEventListener("click", () => {
      state.descending = state.key === button.dataset.key && !state.descending;
      state.key = button.dataset.key;
      draw();
    });
  }
  search.addEventListener("input", draw);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
  });
  draw();
})();
