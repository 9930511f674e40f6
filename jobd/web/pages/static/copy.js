// Copies a command.
import { toast } from "./toast.js";

export function copies() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      toast("Copied.");
    } catch {
      toast("The browser does not let it be copied here; select it and copy it.", "problem");
    }
  });
}
