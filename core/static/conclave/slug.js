// data-slug-from="#id": suggests an address from a name, until the person writes their own.
const LONGEST = 40;

export function slugOf(name) {
  return name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/ß/g, "ss")
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, LONGEST)
    .replace(/^-+|-+$/g, "");
}

export function suggestSlugs(root = document) {
  for (const target of root.querySelectorAll("[data-slug-from]")) {
    const source = root.querySelector(target.dataset.slugFrom);
    let own = target.value !== "" && target.value !== slugOf(source.value);
    source.addEventListener("input", () => {
      if (!own) target.value = slugOf(source.value);
    });
    target.addEventListener("input", () => { own = target.value !== ""; });
  }
}
