"""The dataset's own masks as DICOM: SEG and SR on the series that they were drawn on, voxel for voxel.

origin      what a mask is called, and who made it
segmenter   a mask in the place of the networks, so that `node.pipeline` keeps its one order of stages
task        one exam: its series and its mask, and what is made of them
"""
