"""The numbers of a spine, mm.

Nominal sizes are rounded from two measurements of cadaver spines, M. M. Panjabi et al., Spine 16(8):861-869, 1991
(cervical) and Spine 16(8):888-901, 1991 (thoracic); heights are raised by about 1.5 mm because a body counts here up
to the middle of its rounded endplate. What is not in those papers is called "chosen": set by eye to look like clinical
pictures, and varied widely.
"""

#: Bodies below C2 that the phantom knows: C3..C7, T1..T12.
BODY_HEIGHT_MM = (13.2, 13.0, 13.0, 12.8, 14.2, 15.6, 17.0, 17.2, 17.6, 17.8, 18.8, 19.6, 20.0, 20.6, 21.6, 22.6, 24.0)
#: Depth (front to back) at C2's lower edge, then of each body below.
BODY_DEPTH_MM = (
    *(15.6, 15.4, 15.6, 16.4, 17.2, 17.2),
    *(17.6, 19.0, 21.5, 23.0, 24.2, 25.6, 27.0, 27.8, 28.5, 29.0, 29.5, 30.0),
)
#: Width (right to left), same order as the depth.
BODY_WIDTH_MM = (
    *(17.5, 16.8, 17.4, 18.6, 20.4, 22.6),
    *(25.5, 25.5, 24.8, 24.8, 25.4, 26.6, 27.6, 28.6, 29.8, 31.0, 33.0, 36.0),
)
#: Disc heights C2/C3 downward (chosen within the 4 to 6 mm usual for the neck).
DISC_HEIGHT_MM = (4.8, 5.0, 5.0, 5.2, 5.2, 5.0, 4.4, 4.2, 4.0, 4.0, 4.2, 4.4, 4.6, 5.0, 5.4, 6.0, 6.5, 7.0)
#: Length of the spinous process from the canal's back wall, C2 downward (chosen; C7 is the prominent one).
SPINOUS_MM = (
    *(16.0, 12.0, 12.0, 14.0, 20.0, 27.0),
    *(28.0, 27.0, 26.0, 25.0, 24.0, 24.0, 24.0, 24.0, 24.0, 24.0, 24.0, 24.0),
)
#: Top of the dens above the middle of C2/C3 (chosen near the published 37 to 40 mm for C2 without its lower rim).
DENS_TIP_MM = -38.0
