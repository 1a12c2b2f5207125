// Runs before the first paint, so that a chosen theme does not flash the other one first.
try {
  const theme = localStorage.getItem("marketfeed.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is refused: the system's theme it is.
}
