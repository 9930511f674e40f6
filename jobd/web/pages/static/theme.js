// Light or dark as somebody chose it, before anything is drawn; otherwise as the system has it.
try {
  const chosen = localStorage.getItem("jobd-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* storage is forbidden: the system decides */ }
// Times are written soon: until then they take no more room than afterwards.
document.documentElement.classList.add("soon");
