// Changing the page in place: what is the same stays as it is, with its focus and its selection.

import * as words from './words.js';

export const find = (id) => document.getElementById(id);

// make creates an element with attributes and children, which are elements or texts.
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function attribute(node, name, value) {
  if (value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function hide(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

// longest is how much of a name or a reason is shown in a list, in characters; its end matters as much as its beginning.
const longest = 220;

function shorten(list) {
  const length = list.reduce((sum, part) => sum + part.text.length, 0);
  if (length <= longest) return list;
  const cut = (from, to) => {
    const kept = [];
    let at = 0;
    for (const part of list) {
      const text = part.text.slice(Math.max(0, from - at), Math.max(0, to - at));
      if (text) kept.push({ text, odd: part.odd });
      at += part.text.length;
    }
    return kept;
  };
  const half = longest / 2;
  return [...cut(0, half), { text: ` … ${words.count(length - longest)} more … `, odd: true }, ...cut(length - half, length)];
}

// name shows the name of a file, or any other text from outside, whatever is in it. whole: however long it is.
export function name(node, path, whole = false) {
  const key = JSON.stringify(path) + whole;
  if (node.shown === key) return;
  node.shown = key;
  let list = words.pathParts(path);
  if (!whole) list = shorten(list);
  const inner = make('bdi');
  for (const part of list) inner.append(part.odd ? make('span', { class: 'odd' }, part.text) : part.text);
  node.replaceChildren(inner);
}

// state shows a state by shape, colour and word.
export function state(node, word, shape = words.shape(word)) {
  if (!node.firstElementChild) node.append(make('i', { 'aria-hidden': 'true' }), make('span'));
  attribute(node, 'class', `state ${shape}`);
  attribute(node.firstElementChild, 'class', `shape ${shape}`);
  set(node.lastElementChild, word);
}

// time shows a moment by text, and in full to who points at it.
export function time(node, moment, text) {
  attribute(node, 'datetime', moment ? moment.toISOString() : undefined);
  attribute(node, 'title', moment ? words.full(moment) : undefined);
  set(node, text);
}

// keep makes the children of parent those of items, in their order: it creates, changes, moves and removes what it must.
// key(item) tells items apart, create(item) returns a node, and change(node, item) shows the item in it.
export function keep(parent, items, key, create, change) {
  const known = parent.known ??= new Map();
  const wanted = new Map();
  for (const item of items) {
    let k = key(item);
    while (wanted.has(k)) k += '+';
    wanted.set(k, item);
  }
  let lost = false;
  for (const [k, node] of known) {
    if (wanted.has(k)) continue;
    lost ||= node.contains(document.activeElement);
    node.remove();
    known.delete(k);
  }
  let at = parent.firstElementChild;
  for (const [k, item] of wanted) {
    let node = known.get(k);
    if (!node) known.set(k, node = create(item));
    change(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  if (lost) parent.closest('section, dialog')?.querySelector('h1, h2')?.focus();
}

// table prepares a table: on a phone its rows are stacked, with the headers beside the values, and it stays a table all the same.
export function table(section) {
  const body = section.querySelector('tbody');
  const labels = [...section.querySelectorAll('thead th')].map((th) => ({ text: th.textContent, number: th.classList.contains('number') }));
  for (const [selector, role] of [['table', 'table'], ['thead, tbody', 'rowgroup'], ['tr', 'row'], ['th', 'columnheader']]) {
    for (const node of section.querySelectorAll(selector)) node.setAttribute('role', role);
  }
  body.row = () => {
    const cells = labels.map(({ text, number }, i) => make(i === 0 ? 'th' : 'td', {
      role: i === 0 ? 'rowheader' : 'cell', scope: i === 0 ? 'row' : undefined, 'data-label': text, class: number ? 'number' : undefined,
    }));
    const row = make('tr', { role: 'row' }, ...cells);
    row.parts = cells;
    return row;
  };
  return body;
}

// more shows how much is left out below a list, with a button if there is a way to see more of it.
export function more(section, left, text, show) {
  const node = section.querySelector('.more');
  hide(node, left <= 0);
  if (left <= 0) return;
  if (!node.firstElementChild) node.append(make('span'), ' ', make('button', { type: 'button', click: () => node.show() }, 'Show more'));
  node.show = show;
  set(node.firstElementChild, text);
  hide(node.lastElementChild, !show);
}

let silence;

// say tells what came of something, to ears too. What went wrong stays until something else is said, or until it is closed.
export function say(text, wrong = false) {
  const node = find('said');
  clearTimeout(silence);
  node.classList.toggle('bad', wrong);
  const shown = make('span');
  name(shown, text, true);
  node.replaceChildren(shown, make('button', { type: 'button', click: () => node.replaceChildren() }, 'Close'));
  if (!wrong) silence = setTimeout(() => { if (!node.contains(document.activeElement)) node.replaceChildren(); }, 15000);
}
