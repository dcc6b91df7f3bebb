//! Feature expressions: fitted once, frozen, and run over a table or a row by the same kernels.
