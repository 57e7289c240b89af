// Search on the index: every section that has all the words, those with a word in their title first.
const sections = JSON.parse(document.getElementById("sections").textContent);
const field = document.querySelector("input[type=search]");
const list = document.getElementById("found");
const MOST = 20;

/** The text around the first of the words. */
function around(text, word) {
  const at = Math.max(0, text.toLowerCase().indexOf(word) - 60);
  return (at ? "…" : "") + text.slice(at, at + 180) + "…";
}

function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (text) => words.every((word) => text.toLowerCase().includes(word));
  const found = words.length ? sections.filter(({ title, text }) => has(`${title} ${text}`)) : [];
  found.sort((a, b) => has(b.title) - has(a.title));
  list.replaceChildren(...found.slice(0, MOST).map(({ link, title, text }) => {
    const item = document.createElement("li");
    const anchor = Object.assign(document.createElement("a"), { href: link, textContent: title });
    const words_of = Object.assign(document.createElement("p"), { textContent: around(text, words[0]) });
    item.append(anchor, words_of);
    return item;
  }));
  if (words.length && !found.length) list.textContent = `nothing has “${field.value}”`;
}

field.addEventListener("input", search);
search(); // the browser keeps what was typed when one comes back
