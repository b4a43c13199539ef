// Elements made in one line.

/**
 * @param {string} name
 * @param {Record<string, any>} attributes those that begin with "on" are listeners; false and undefined are left out
 * @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, '');
    else if (value !== false && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children);
  return made;
}

/**
 * The element with this id, which is there.
 * @param {string} id
 * @returns {any}
 */
export const byId = (id) => document.getElementById(id);

/**
 * @param {string[]} head
 * @param {string[][]} rows
 */
export const table = (head, rows) => h('div', { class: 'scroll', tabindex: 0 }, h('table', {},
  h('thead', {}, h('tr', {}, ...head.map((text) => h('th', { scope: 'col' }, text)))),
  h('tbody', {}, ...rows.map((cells) => h('tr', {}, ...cells.map((text) => h('td', {}, text)))))));
