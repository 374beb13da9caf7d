# Runs after the notebook's own parameters when a submission is graded: the same cells, small enough for minutes.
profile = "grading"
dataset = "digits"
n_train = 240
n_test = 60
epochs = 1
batch_size = 32
