// Applies the person's explicit colour scheme before the first paint; without one the system decides.
(() => {
  let choice = null;
  try {
    choice = localStorage.getItem("conclave:theme");
  } catch {
    return; // Storage is blocked: the system's scheme stands.
  }
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
})();
