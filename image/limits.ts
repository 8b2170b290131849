/** What an image may have. */

/** Layers that file systems of containers stack (docker: 127, with what it adds itself). */
export const MOST_LAYERS = 125;
