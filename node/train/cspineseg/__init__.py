"""Weights of one's own from the public download: nnU-Net's official commands, from the data set to a bundle (ADR 22).

workspace   where everything of one training lies, and what each step leaves to the next
splits      who is trained on, who is tested on, and the folds: by patient
candidates  which exams can take part, and how their voxels lie
prepare     nnU-Net's raw data set
official    nnU-Net's commands as processes that end with this one; guard and launch lie between
plan        planning and preprocessing; smallplans: networks for a CPU
trainers    which trainers nnU-Net has
folds       how far the training of a fold is
progress    what the trainer prints, as numbers
run         folds on devices
predict     the official prediction of the test part
package     evaluation and bundle; card: its model card
"""
