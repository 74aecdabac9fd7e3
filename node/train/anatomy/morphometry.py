"""The numbers of a spine, mm.

Nominal sizes are rounded from two measurements of cadaver spines, M. M. Panjabi et al., Spine 16(8):861-869, 1991
(cervical) and Spine 16(8):888-901, 1991 (thoracic); heights are raised by about 1.5 mm because a body counts here up
to the middle of its rounded endplate. What is not in those papers is called "chosen": set by eye to look like clinical
pictures, and varied widely. Tables begin with C2 and go down to T12.
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
#: Disc heights C2/C3 downward (chosen within the 3 to 6 mm usual for the neck, 2.5 to 4.5 mm in the upper chest).
DISC_HEIGHT_MM = (4.2, 4.5, 4.5, 4.6, 4.8, 4.4, 3.8, 3.4, 3.3, 3.4, 3.6, 3.9, 4.2, 4.6, 5.0, 5.6, 6.2, 6.8)
#: Discs with uncinate processes beside them: C2/C3 to C6/C7, and a trace at C7/T1.
UNCUS_MM = (*(3.0, 4.2, 4.6, 4.6, 3.8, 1.2), *(0.0,) * 12)
#: Length of the spinous process from the canal's back wall, C2 downward (chosen; C7 is the prominent one).
SPINOUS_MM = (
    *(18.0, 13.0, 13.0, 15.0, 21.0, 29.0),
    *(30.0, 29.0, 28.0, 27.0, 26.0, 26.0, 25.0, 25.0, 24.0, 24.0, 24.0, 24.0),
)
#: Half height of the spinous process in the mid-plane, C2 downward (chosen: C2 blunt and tall, C3 to C5 slender).
SPINOUS_HALF_MM = (*(7.5, 3.2, 3.0, 3.2, 4.2, 5.4), *(5.6, 5.0, 4.6, 4.4, 4.2, 4.2, 4.2, 4.2, 4.4, 4.8, 5.5, 6.5))
#: How steeply spinous processes fall to the back, ds/dt (chosen: shallow in the neck, steep from T3).
SPINOUS_FALL = (*(0.35, 0.4, 0.42, 0.42, 0.4, 0.35), *(0.4, 0.55, 0.8, 1.0, 1.2, 1.3, 1.3, 1.3, 1.2, 0.9, 0.6, 0.4))
#: Half height of the lamina (near the 10 to 11 mm of C3 to C6 and the 14 to 20 mm below, chosen).
LAMINA_HALF_MM = (*(6.5, 5.2, 5.0, 5.2, 5.6, 6.8), *(7.6, 8.4, 8.8, 9.0, 9.0, 9.2, 9.4, 9.6, 9.8, 10.0, 10.5, 11.0))
#: Fall of the facet joints, ds/dt (chosen near 45 degrees in the neck, 60 to 75 degrees in the chest), below C2, C3 ...
FACET_FALL = (*(0.8, 0.9, 1.0, 1.0, 1.1, 1.5), *(2.0, 2.4, 2.6, 2.8, 2.8, 2.8, 2.8, 2.8, 2.8, 2.8, 2.8, 2.8))
#: Front-to-back half depth of the cord at C2 .. (chosen near 7 to 8 mm across in the neck, 6 mm in the chest).
CORD_HALF_MM = (*(3.7, 3.6, 3.6, 3.6, 3.5, 3.3), *(3.1, 3.0, 2.9, 2.9, 2.9, 2.9, 2.9, 3.0, 3.1, 3.2, 3.3, 3.3))
#: Top of the dens above the middle of C2/C3 (chosen near the published 37 to 40 mm for C2 without its lower rim).
DENS_TIP_MM = -38.0
