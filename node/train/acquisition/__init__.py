"""How a scanner shows the anatomy: tones, textures, coil, artefacts, noise, the field of view."""
