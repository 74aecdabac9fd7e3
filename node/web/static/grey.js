// Values of the images to grey: the VOI LUT Functions of PS3.3 C.11.2.1.2 and C.11.2.1.3, 0 = black to 1 = white.

const FUNCTIONS = {
  // a width of 1 is a step: black up to centre - 0.5, white beyond
  LINEAR: (value, centre, width) =>
    width > 1 ? (value - (centre - 0.5)) / (width - 1) + 0.5 : Number(value > centre - 0.5),
  LINEAR_EXACT: (value, centre, width) => (value - centre) / width + 0.5,
  SIGMOID: (value, centre, width) => 1 / (1 + Math.exp((-4 * (value - centre)) / width)),
};

/** Smallest width of a window that is set by hand: that of LINEAR is 1 at least, the page shows tenths. */
export const leastWidth = (window) => (window.function === "LINEAR" ? 1 : 0.1);

/** Grey, 0 to 255, of a value. MONOCHROME1 (`lowestIsWhite`) turns round what the window has made (C.7.6.3.1.2). */
export function greyOf(value, window, lowestIsWhite) {
  const shade = Math.min(1, Math.max(0, FUNCTIONS[window.function](value, window.centre, window.width)));
  return 255 * (lowestIsWhite ? 1 - shade : shade);
}
