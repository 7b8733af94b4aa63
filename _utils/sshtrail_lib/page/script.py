"""
What the page can do where scripts run: filter the rows of a table, sort them, and open what a link leads to.
"""

SCRIPT = """
(function () {
  "use strict";
  document.documentElement.classList.add("scripted");

  function filter(tools) {
    var words = tools.querySelector("input").value.toLowerCase().split(/\\s+/).filter(Boolean);
    var choices = Array.from(tools.querySelectorAll("select"));
    var shown = 0;
    var rows = document.getElementById(tools.dataset.filters).querySelectorAll("[data-row]");
    rows.forEach(function (row) {
      var text = row.textContent.toLowerCase();
      var fits = words.every(function (word) { return text.includes(word); }) && choices.every(function (choice) {
        return !choice.value || row.dataset[choice.name] === choice.value;
      });
      row.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    tools.querySelector("[role=status]").textContent = shown + " of " + rows.length + " shown";
  }

  document.querySelectorAll(".tools").forEach(function (tools) {
    tools.addEventListener("input", function () { filter(tools); });
    tools.addEventListener("submit", function (event) { event.preventDefault(); });
    filter(tools);
  });

  function value(row, at) {
    var cell = row.cells[at];
    return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
  }

  document.querySelectorAll("table.sorts").forEach(function (table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (head, at) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending";
        Array.from(table.tHead.rows[0].cells).forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var rows = Array.from(table.tBodies[0].rows);
        rows.sort(function (one, other) {
          return value(one, at).localeCompare(value(other, at), "en", {numeric: true}) * (down ? -1 : 1);
        });
        table.tBodies[0].append.apply(table.tBodies[0], rows);
      });
    });
  });

  function open() {
    var found = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var at = found; at; at = at.parentElement) { if (at.tagName === "DETAILS") { at.open = true; } }
  }
  addEventListener("hashchange", open);
  open();
})();
"""
