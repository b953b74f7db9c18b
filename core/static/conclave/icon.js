// Makes an icon of the sprite, by its name.
const sprite = new URL("icons.svg", import.meta.url).pathname;
const SVG = "http://www.w3.org/2000/svg";

export function icon(name, ...classes) {
  const svg = document.createElementNS(SVG, "svg");
  svg.classList.add("icon", ...classes);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${sprite}#${name}`);
  svg.append(use);
  return svg;
}
