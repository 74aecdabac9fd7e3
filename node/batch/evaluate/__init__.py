"""How good label maps are: pairs of a prediction and a reference, figures for each, statistics over all.

pairs       which file is compared with which: two folders, or a batch and the masks of the dataset
scheme      what the values of a label map stand for, as data (`schemes/`): cspineseg, ctspine1k, spider, or one's own
scores      the tables that everything ends in
evaluate    pairs in, tables out (`evaluate`); surfaces, slices, detection and levels define the figures
statistics  intervals and breakdowns over these tables, volumes side by side, worst cases
comparisons tests between groups and between several predictions, corrected for being many
"""
