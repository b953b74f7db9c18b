// Radio buttons named "theme" (system, light, dark): what a person picks holds in this browser.
const KEY = "conclave:theme";

function stored() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system";
  }
}

function choose(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    return; // Storage is blocked: the choice holds for this page only.
  }
}

export function chooseTheme() {
  const radios = [...document.querySelectorAll('input[name="theme"]')];
  for (const radio of radios) {
    radio.checked = radio.value === stored();
    radio.addEventListener("change", () => choose(radio.value));
  }
}
