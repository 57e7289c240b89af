"""Exercise checks, one module a lesson: `nst.check.gram_matrix(my_gram_matrix)` says in a line what is right or wrong."""
