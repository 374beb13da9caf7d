"""Wrong answers that a program writes: mutants of right work, and what the checks say of them."""
