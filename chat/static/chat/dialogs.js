/** Dialogs and forms: open and close, one act at a time, refusals beside the field they are about. */

import { $, $$, h, icon } from "./dom.js";

export function openDialog(id) {
  const dialog = $(`#${id}`);
  for (const popover of $$("[popover]:popover-open")) popover.hidePopover();
  dialog.showModal();
  return dialog;
}

export function wireDialogs() {
  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog").close();
    else if (event.target.matches("dialog[open]")) event.target.close(); // The backdrop belongs to the dialog itself.
    event.target.closest(".menu .menu-item")?.closest("[popover]").hidePopover();
  });
}

export function clearErrors(form) {
  for (const error of $$(".error, .form-error", form)) error.remove();
  for (const field of $$(".field.invalid", form)) {
    field.classList.remove("invalid");
    $("[aria-invalid]", field)?.removeAttribute("aria-invalid");
  }
}

/** Say what was refused: beside the fields that `problem.errors` names, the rest above the buttons. */
export function showProblem(form, problem) {
  const unplaced = [];
  for (const [name, reasons] of Object.entries(problem.errors ?? {})) {
    const input = form.elements[name];
    const field = input instanceof Element ? input.closest(".field") : null;
    const text = [reasons].flat().join(" ");
    if (!field) {
      unplaced.push(text);
      continue;
    }
    field.classList.add("invalid");
    input.setAttribute("aria-invalid", "true");
    field.append(h("p.error", { role: "alert" }, icon("warn", "small"), text));
  }
  if ($(".field.invalid", form)) $(".field.invalid [aria-invalid]", form).focus();
  if (unplaced.length || !Object.keys(problem.errors ?? {}).length) {
    const words = unplaced.join(" ") || problem.message;
    const notice = h("p.notice.danger.form-error", { role: "alert" }, icon("warn"), h("span", {}, words));
    ($("footer", form) ?? $("button[type=submit]", form)).before(notice);
  }
}

/** On submit run `act(form)`, once at a time; a refusal is shown in the form, which keeps what was entered. */
export function onSubmit(form, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = $("button[type=submit]", form);
    if (button.getAttribute("aria-busy") === "true") return;
    clearErrors(form);
    button.setAttribute("aria-busy", "true");
    try {
      await act(form);
    } catch (problem) {
      if (!("code" in problem)) throw problem;
      showProblem(form, problem);
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
}

/** Ask before something is taken away; resolves with the answer. */
export function confirmed({ title, text, act }) {
  const dialog = $("#dialog-confirm");
  $("h2", dialog).textContent = title;
  $("#confirm-text").textContent = text;
  $("#confirm-act").textContent = act;
  dialog.returnValue = "";
  openDialog("dialog-confirm");
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
