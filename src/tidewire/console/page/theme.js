// Light or dark: what the person chose here, else what the system prefers. A plain script, run before the first paint.
(() => {
  const KEY = "tidewire-console-theme";
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be forbidden; the choice then lasts as long as the page
    }
  }

  function apply(theme) {
    root.dataset.theme = theme ?? (prefersDark.matches ? "dark" : "light");
    dispatchEvent(new Event("themechange"));
  }

  window.tidewireTheme = {
    get: () => root.dataset.theme,
    switch() {
      const next = root.dataset.theme === "dark" ? "light" : "dark";
      try {
        localStorage.setItem(KEY, next);
      } catch {
        // see above
      }
      apply(next);
    },
  };
  prefersDark.addEventListener("change", () => apply(chosen()));
  apply(chosen());
})();
