// Elements, made of text and attributes: nothing that comes from elsewhere is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element; texts among the children stay texts. */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An element of a picture. */
export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** A link to one of our pages; the parts of its address are quoted. */
export function link(parts, text, attributes = {}) {
  return h("a", { href: "#/" + parts.map(encodeURIComponent).join("/"), ...attributes }, text);
}

/** Tells something for a few seconds. */
export function note(text) {
  const place = document.getElementById("note");
  place.textContent = text;
  clearTimeout(note.timer);
  note.timer = setTimeout(() => { place.textContent = ""; }, 6000);
}

/** Asks before something is done; answers whether to. */
export function confirm(question, about, word) {
  return new Promise((answer) => {
    const close = (value) => { dialog.close(); dialog.remove(); answer(value); };
    const dialog = h("dialog", { oncancel: () => close(false) },
      h("h2", {}, question), h("p", { class: "soft" }, about),
      h("div", { class: "actions" },
        h("button", { onclick: () => close(false) }, "Leave it"),
        h("button", { class: "main", id: "confirm", onclick: () => close(true) }, word)));
    document.body.append(dialog);
    dialog.showModal();
  });
}
