// data-copy="text", or data-copy-from="#id": a button that puts a text on the clipboard and says so.
import { toast } from "./toast.js";

async function copy(button) {
  const source = button.dataset.copyFrom && document.querySelector(button.dataset.copyFrom);
  try {
    await navigator.clipboard.writeText(source ? source.innerText.trim() : button.dataset.copy);
    toast("Copied.", "ok");
  } catch {
    toast("The browser did not allow copying. Select the text and copy it by hand.", "warn");
  }
}

export function copyOnClick() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (button) copy(button);
  });
}
