// What a reader with a screen reader, a keyboard or weak eyes would stumble over; returns sentences.
const faults = [];
const all = (selector) => [...document.querySelectorAll(selector)];
all("details").forEach((item) => { item.open = true; });
const name = (item) => item.outerHTML.slice(0, 90);

const told = (item) => item.getAttribute("aria-label") || item.getAttribute("alt") || item.querySelector("title")?.textContent;
all("img, svg[role=img]").forEach((item) => { if (!told(item)?.trim()) faults.push(`no text for ${name(item)}`); });
all("svg:not([role=img]):not([aria-hidden=true])").forEach((item) => faults.push(`a drawing without a role: ${name(item)}`));

let before = 0;
all("h1, h2, h3, h4, h5, h6").forEach((item) => {
  const level = Number(item.tagName[1]);
  if (level > before + 1) faults.push(`heading ${level} after ${before}: ${item.textContent.trim().slice(0, 40)}`);
  if (!item.textContent.trim()) faults.push(`an empty heading: ${name(item)}`);
  before = level;
});
if (all("h1").length !== 1) faults.push(`${all("h1").length} h1`);
if (all("main").length !== 1) faults.push(`${all("main").length} main`);
if (!document.documentElement.lang) faults.push("no language");
if (!document.title.trim()) faults.push("no title");

const ids = all("[id]").map((item) => item.id);
ids.filter((id, place) => ids.indexOf(id) !== place).forEach((id) => faults.push(`id twice: ${id}`));
all("a").forEach((item) => {
  const target = item.getAttribute("href");
  if (!target?.startsWith("#") || !document.getElementById(target.slice(1))) faults.push(`a link to nowhere: ${name(item)}`);
  if (!item.textContent.trim()) faults.push(`a link without text: ${name(item)}`);
});
all("[aria-labelledby]").forEach((item) => {
  if (!document.getElementById(item.getAttribute("aria-labelledby"))) faults.push(`labelled by nothing: ${name(item)}`);
});
all("[tabindex]").forEach((item) => { if (item.tabIndex > 0) faults.push(`out of order for the keyboard: ${name(item)}`); });
all("[role=region]").forEach((item) => {
  if (!item.getAttribute("aria-label") && !item.getAttribute("aria-labelledby")) faults.push(`a region without a name: ${name(item)}`);
});
all("*").filter((item) => item.scrollWidth > item.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(item).overflowX))
  .forEach((item) => { if (item.tabIndex < 0) faults.push(`scrolls, but not by keyboard: ${name(item)}`); });
all("table").forEach((item) => {
  if (!item.querySelector("th")) { if (!item.querySelector("caption")) faults.push(`a table without headers: ${name(item)}`); }
});
all("th").forEach((item) => { if (!item.scope) faults.push(`a header without a scope: ${name(item)}`); });
if (document.documentElement.scrollWidth > window.innerWidth) {
  const wide = all("body *").filter((item) => item.getBoundingClientRect().right > window.innerWidth + 1 && !item.closest(".wide, pre"));
  faults.push(`wider than the window by ${document.documentElement.scrollWidth - window.innerWidth}: ${wide.slice(-1).map(name)}`);
}

const colour = (text) => {
  const parts = text.match(/[\d.]+/g).map(Number);
  return { rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1 };
};
const over = (top, under) => top.rgb.map((value, i) => top.alpha * value + (1 - top.alpha) * under[i]);
const ground = (item) => {
  const layers = [];
  for (let at = item; at; at = at.parentElement) layers.unshift(colour(getComputedStyle(at).backgroundColor));
  const canvas = matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches ? [18, 18, 18] : [255, 255, 255];
  return layers.reduce((under, layer) => over(layer, under), canvas);
};
const light = (rgb) => {
  const part = rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const weak = new Set();
while (walker.nextNode()) {
  const item = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || item.closest("title, style, .sr-only, .skip") || !item.getClientRects().length) continue;
  const style = getComputedStyle(item);
  const behind = ground(item);
  const ink = over(colour(item.closest("svg") ? style.fill : style.color), behind);
  const [dark, bright] = [light(ink), light(behind)].sort((a, b) => a - b);
  const size = parseFloat(style.fontSize);
  const need = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  const ratio = (bright + 0.05) / (dark + 0.05);
  if (ratio < need) weak.add(`contrast ${ratio.toFixed(2)} in ${item.tagName}.${item.className}`);
}
return [...faults, ...weak];
