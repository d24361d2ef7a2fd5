(() => {
  const root = document.documentElement;
  const buttons = [...document.querySelectorAll("[data-switch]")];
  const speak = (language) => {
    root.lang = language;
    root.dataset.language = language;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.switch === language));
  };
  for (const button of buttons) button.addEventListener("click", () => speak(button.dataset.switch));
  const wanted = (navigator.languages || [navigator.language]).map((name) => name.slice(0, 2));
  const known = buttons.map((button) => button.dataset.switch);
  const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("article")?.lang;
  speak(linked || wanted.find((name) => known.includes(name)) || known[0]);

  const weight = (cell) => {
    const fact = cell.querySelector("[data-value]");
    return fact ? Number(fact.dataset.value) : NaN;
  };
  const compare = (a, b) => {
    const [x, y] = [weight(a), weight(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return a.textContent.localeCompare(b.textContent, root.lang, { numeric: true });
  };
  for (const table of document.querySelectorAll("article table")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `${table.closest("article").dataset.sort}: ${head.textContent.trim()}`);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].sort((a, b) => compare(a.cells[place], b.cells[place]));
        table.tBodies[0].append(...(down ? rows.reverse() : rows));
      });
    });
  }
})();
