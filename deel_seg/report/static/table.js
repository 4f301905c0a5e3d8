// The table of pictures: sorted by a column, filtered by text and by a limit.

function table(onOpen) {
  const body = document.querySelector("#pictures-table tbody");
  if (!body) return;
  const rows = Array.from(body.rows);
  const element = (id) => document.getElementById(id);
  const valueOf = (row, column) => row.cells[column].dataset.value;

  document.querySelectorAll("button.sort").forEach((button) => {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const down = head.getAttribute("aria-sort") === "ascending";
      document.querySelectorAll("#pictures-table th[aria-sort]").forEach((each) => {
        each.removeAttribute("aria-sort");
      });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const column = Number(button.dataset.column);
      const isNumber = data.columns[column].number;
      const compare = (a, b) => {
        const [left, right] = [valueOf(a, column), valueOf(b, column)];
        if (!isNumber) return left < right ? -1 : Number(left > right);
        // What has no value comes last, whichever way.
        if (left === "" || right === "") return (left === "") - (right === "") || 0;
        return (Number(left) - Number(right)) * (down ? -1 : 1);
      };
      const sorted = rows.slice().sort(compare);
      if (!isNumber && down) sorted.reverse();
      body.append(...sorted);
    });
  });

  function filter() {
    const text = element("filter-text").value.toLowerCase();
    const limit = element("filter-limit").value;
    const column = Number(element("filter-column").value);
    const scale = data.columns[column].scale;
    const isBelow = element("filter-relation").value === "below";
    let shown = 0;
    for (const row of rows) {
      const words = `${valueOf(row, 0)} ${valueOf(row, row.cells.length - 1)}`.toLowerCase();
      const value = valueOf(row, column);
      const inside =
        limit === "" ||
        (value !== "" && (isBelow ? scale * value < Number(limit) : scale * value >= Number(limit)));
      row.hidden = !(words.includes(text) && inside);
      shown += row.hidden ? 0 : 1;
    }
    element("filter-count").textContent = `${shown} of ${rows.length} pictures`;
  }
  const form = element("filter");
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  body.addEventListener("click", (event) => {
    const button = event.target.closest("button.open");
    if (button) onOpen(Number(button.dataset.number), true);
  });
}
