// Building the page. Texts become text nodes and attributes only, never markup, so a title cannot do anything.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties and children; null children are left out. */
export function h(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** The same for SVG, where everything is an attribute. */
export function svg(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "class") element.setAttribute("class", value);
    else if (name in element && element.namespaceURI !== SVG && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Show or hide an element that is on the page from the start. */
export function show(element, isShown) {
  element.hidden = !isShown;
}

/**
 * Replace the children of an element and keep the focus where it was: on the element with the same data-focus.
 * If that is gone, `elsewhere` says what takes the focus.
 */
export function replace(parent, children, elsewhere = () => null) {
  const active = document.activeElement;
  const key = parent.contains(active) ? active.dataset.focus : undefined;
  const hadFocus = parent.contains(active) && active !== parent;
  parent.replaceChildren(...children.filter(Boolean));
  if (!hadFocus) return;
  (withFocusKey(key) ?? elsewhere())?.focus({ preventScroll: true });
}

/** The element with this data-focus. Keys hold labels, so they are compared and never made into a selector. */
export function withFocusKey(key) {
  if (key === undefined) return null;
  return [...document.querySelectorAll("[data-focus]")].find((one) => one.dataset.focus === key) ?? null;
}

/** Say something to screen readers. The last thing said within a moment counts. */
let saying;
export function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => (byId("live").textContent = text), 250);
}

/** Call a function once it has not been asked for during `ms`. */
export function debounced(ms, action) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), ms);
  };
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Change the children of a list, and let those that stay slide to their new places. */
export function slide(parent, change) {
  const places = new Map([...parent.children].map((child) => [child.dataset.key, child.getBoundingClientRect().top]));
  change();
  if (calm.matches) return;
  for (const child of parent.children) {
    const before = places.get(child.dataset.key);
    const options = { duration: 260, easing: "cubic-bezier(.2, .7, .2, 1)" };
    if (before === undefined) {
      child.animate([{ opacity: 0 }, { opacity: 1 }], options);
      continue;
    }
    const distance = before - child.getBoundingClientRect().top;
    if (Math.abs(distance) > 1) child.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], options);
  }
}
