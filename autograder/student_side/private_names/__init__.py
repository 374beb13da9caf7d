"""The only modules that touch private names of TensorFlow and Keras, each with what breaks when they move."""
